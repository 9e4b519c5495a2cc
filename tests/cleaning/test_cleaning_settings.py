"""Every setting of cleaning has the effect that its description promises."""

import json
from pathlib import Path

import pytest

from cleaned_files import chat, clean, counts, kept, rejected, write_rows
from tunelab.cleaning.config import CleaningConfig
from tunelab.errors import RecipeError
from tunelab.starter import NANO_FOLDER

ENGLISH = "The weather is nice today and we are going to the beach with all of our friends."
PORTUGUESE = "O tempo está bom hoje e vamos à praia com todos os nossos amigos da escola."
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
MAIL = "write to jane.doe" + "@example-shop.org please"
KEY = "the key is " + "sk-" + "ant-api03-" + "Zq8Lr2Vt6Xw9Bn4Mc7Kd1Pf5Hg3Js0Ay" * 2

A_TABLE = [{"title": "a good title", "content": "some content"}]
CASES: dict[str, tuple[list[object], dict[str, object], list[int]]] = {
    "text_fields": (
        [{"title": "long enough", "content": "x"}, {"title": "x", "content": "long enough"}],
        {"text_fields": ["title"], "min_chars": {"*": 5}},
        [0],
    ),
    "drop_nulls": ([*A_TABLE, {"title": None, "content": "c"}, {"content": "c"}], {"drop_nulls": True}, [0]),
    "drop_blank": ([*A_TABLE, {"title": " \t\n", "content": "c"}], {"drop_blank": True}, [0]),
    "min_chars": (
        [*A_TABLE, {"title": "0123456789", "content": "c"}, {"title": "01234567890", "content": "c"}],
        {"min_chars": {"title": 11}},
        [0, 2],
    ),
    "max_chars": ([chat("q", "short"), chat("q", "long" * 9)], {"max_chars": {"assistant": 20}}, [0]),
    "min_tokens": ([chat("q", LONG), chat("q", "a")], {"min_tokens": 8}, [0]),
    "max_tokens": ([chat("q", LONG * 9), chat("q", "a")], {"max_tokens": 50}, [1]),
    "tokenizer": ([chat("q", "a")], {"max_tokens": 50, "tokenizer": str(NANO_FOLDER / "tokenizer.json")}, [0]),
    "languages": ([chat("?", ENGLISH), chat("?", PORTUGUESE), chat("?", "ok")], {"languages": ["pt"]}, [1, 2]),
    "personal_data": ([chat("q", MAIL), chat("q", "a")], {"personal_data": "drop"}, [1]),
    "secrets": ([chat("q", KEY), chat("q", "a")], {"secrets": "drop"}, [1]),
    "drop_duplicates": (
        [chat("q", "a"), chat("q", "b"), chat("q", "a")],
        {"drop_duplicates": "row"},
        [0, 1],
    ),
    "prompt_fields": (
        [{"title": "t", "content": "a"}, {"title": "t", "content": "b"}, {"title": "u", "content": "b"}],
        {"drop_duplicates": "prompt", "prompt_fields": ["title"]},
        [0, 2],
    ),
    "conflicts": (
        [chat("q", "a"), chat("r", "a"), chat("q", "b"), chat("q", "a")],
        {"conflicts": "drop"},
        [1],
    ),
    "near_duplicates": (
        [
            chat("q", LONG),
            chat("q", LONG.replace("ten", "dozen", 1) + " " + LONG),
            chat("q", f"{LONG}!"),
            chat("r", ENGLISH),
        ],
        {"near_duplicates": 0.8},
        [0, 1, 3],
    ),
    "max_per_class": (
        [{"text": f"row {n}", "label": "ab"[n > 1]} for n in range(6)],
        {"label_field": "label", "max_per_class": 2, "seed": 1},
        [0, 1, 4, 5],
    ),
}


@pytest.mark.parametrize("setting", CASES)
def test_a_setting_keeps_the_rows_that_it_should(tmp_path: Path, setting: str) -> None:
    rows, settings, stand = CASES[setting]
    assert setting in settings
    report = clean(write_rows(tmp_path / "in.jsonl", rows), **settings)
    if setting == "max_per_class":
        assert report.num_kept == 4
        assert {label: sum(sides) for label, sides in report.classes.items()} == {"a": 2, "b": 2}
        return
    assert kept(tmp_path / "out.jsonl") == [rows[index] for index in stand]
    assert len(rejected(tmp_path)) == len(rows) - len(stand)
    assert set(counts(report)) <= {setting, "drop_duplicates", "min_chars", "max_tokens"}


CHANGES = {
    "strip_html": ("<p>Fish &amp; chips</p><script>x()</script>", "Fish & chips"),
    "remove_control_characters": ("a\x07b\tc\u200b\nd", "ab\tc\nd"),
    "personal_data": (MAIL, "write to [EMAIL] please"),
    "secrets": (KEY, "the key is [MODEL_KEY]"),
    "unicode_normalization": ("ﬁ cafe\u0301", "fi café"),
}
VALUES = {"personal_data": "redact", "secrets": "redact", "unicode_normalization": "NFKC"}


@pytest.mark.parametrize("setting", CHANGES)
def test_a_setting_changes_text_where_it_stands_and_counts_the_rows(tmp_path: Path, setting: str) -> None:
    before, after = CHANGES[setting]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"x": "<b>\u0301"})}}
    turns = [
        {"role": "user", "content": before},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": before}]},
        {"role": "assistant", "content": "plain", "reasoning": before},
    ]
    table = [{"title": before, "content": "plain"}, {"title": "plain", "content": "plain"}]
    for rows, where in (([{"messages": turns}, chat("q", "a")], "chat"), (table, "table")):
        report = clean(write_rows(tmp_path / f"{where}.jsonl", list(rows)), **{setting: VALUES.get(setting, True)})
        assert [(each.rule, each.count) for each in report.changed] == [(setting, 1)]
        out = kept(tmp_path / "out.jsonl")
        wanted = json.dumps(rows[0]).replace(json.dumps(before), json.dumps(after))
        assert json.dumps(out[0]) == wanted
        assert out[1] == rows[1]


def test_what_is_reported_stays_and_is_counted_by_kind(tmp_path: Path) -> None:
    report = clean(write_rows(tmp_path / "in.jsonl", [chat(MAIL, "a"), chat("q", "a")]), personal_data="report")
    assert [(each.rule, each.count, each.examples) for each in report.reported] == [
        ("personal_data", 1, ("in.jsonl:1: email",))
    ]
    assert report.num_kept == 2


def test_secrets_in_the_arguments_of_a_call_are_found(tmp_path: Path) -> None:
    call = {"function": {"name": "f", "arguments": {"note": KEY}}}
    row = chat("q", "a")
    row["messages"][1:1] = [{"role": "assistant", "tool_calls": [call]}]  # type: ignore[index]
    clean(write_rows(tmp_path / "in.jsonl", [row]), secrets="redact")
    assert "[MODEL_KEY]" in (tmp_path / "out.jsonl").read_text()
    assert KEY not in (tmp_path / "out.jsonl").read_text()


def test_rows_that_ask_what_a_test_row_asks_go_exactly_and_nearly(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.jsonl", [chat("asked before", "x"), chat(LONG, "y")])
    rows = [chat("asked   before", "z"), chat("new", "a"), chat(LONG + " sixteen", "y")]
    path = write_rows(tmp_path / "in.jsonl", rows)
    report = clean(path, excluded=[test])
    assert counts(report) == {"exclude_files": 1}
    report = clean(path, excluded=[test], near_overlap=0.8)
    assert counts(report) == {"exclude_files": 1, "near_overlap": 1}
    assert kept(tmp_path / "out.jsonl") == [rows[1]]


def test_excluded_rows_are_compared_in_the_form_that_rows_are_brought_into(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.jsonl", [chat("<b>cafe\u0301</b>", "x")])
    path = write_rows(tmp_path / "in.jsonl", [chat("café", "z"), chat("tea", "z")])
    assert clean(path, excluded=[test], strip_html=True, unicode_normalization="NFC").num_rejected == 1


def test_the_first_of_two_answers_can_be_the_one_that_stays(tmp_path: Path) -> None:
    rows = [chat("q", "a"), chat("q", "b"), chat("q", "a"), chat("q", "b")]
    clean(write_rows(tmp_path / "in.jsonl", rows), conflicts="first")
    assert kept(tmp_path / "out.jsonl") == [rows[0], rows[2]]
    assert [each["detail"] for each in rejected(tmp_path)] == ["in.jsonl:1", "in.jsonl:1"]
    clean(
        write_rows(tmp_path / "in.jsonl", [*rows, chat("r", "x"), chat("r", "x")]),
        conflicts="drop",
        drop_duplicates="prompt",
    )
    assert kept(tmp_path / "out.jsonl") == [chat("r", "x")]


LABELLED = [
    *({"text": f"row {n}", "label": "rare" if n % 10 == 0 else "often"} for n in range(200)),
]


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"label_field": "label"}, LABELLED),
        (
            {"label_json_key": "label"},
            [chat(f"question {n}", json.dumps({"label": row["label"]})) for n, row in enumerate(LABELLED)],
        ),
        (
            {"label_pattern": r"Class: (\w+)"},
            [chat(f"question {n}", f"Class: {row['label']}.") for n, row in enumerate(LABELLED)],  # type: ignore[index]
        ),
        ({}, [chat(str(n), str(row["label"])) for n, row in enumerate(LABELLED)]),
    ],
    ids=["label_field", "label_json_key", "label_pattern", "answer"],
)
def test_classes_keep_their_share_in_a_stratified_draw_and_split(
    tmp_path: Path, settings: dict[str, object], rows: list[object]
) -> None:
    report = clean(
        write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.2, max_samples=100, stratified=True, **settings
    )
    assert report.classes == {"rare": (8, 2), "often": (72, 18)}
    assert report.num_not_sampled == 100


@pytest.mark.parametrize("setting", ["label_pattern", "label_json_key", "label_field", "answer"])
def test_rows_without_a_label_are_counted_and_named_before_any_is_drawn(tmp_path: Path, setting: str) -> None:
    value = {"label_pattern": r"Class: (\w+)", "label_json_key": "label", "label_field": "label"}.get(setting)
    answer = {"label_pattern": "Class: a", "label_json_key": '{"label": "a"}'}.get(setting, "a")
    rows = [chat(f"question {n}", "" if n % 5 == 4 else answer, label="" if n % 5 == 4 else "a") for n in range(20)]
    path, labels = write_rows(tmp_path / "in.jsonl", rows), {} if value is None else {setting: value}
    capped = clean(path, max_per_class=2, **labels)
    shared = clean(path, stratified=True, **labels)
    assert (capped.classes, capped.num_not_sampled) == ({"": (2, 0), "a": (2, 0)}, 16)
    assert shared.classes == {"": (4, 0), "a": (16, 0)}
    examples = ("in.jsonl:5", "in.jsonl:10", "in.jsonl:15")
    for report in (capped, shared):
        assert [(each.rule, each.count, each.examples) for each in report.unlabelled] == [(setting, 4, examples)]


def test_a_rule_that_rejects_late_leaves_no_row_to_be_told_of_as_unlabelled(tmp_path: Path) -> None:
    rows = [chat("q", "Class: a"), chat("r", LONG), chat("s", LONG)]
    path = write_rows(tmp_path / "in.jsonl", rows)
    report = clean(path, max_per_class=2, near_duplicates=0.8, label_pattern=r"Class: (\w+)")
    assert counts(report) == {"near_duplicates": 1}
    assert [each.count for each in report.unlabelled] == [1]


def test_a_label_of_a_table_that_is_zero_or_false_is_a_class(tmp_path: Path) -> None:
    rows = [{"title": "t", "label": label} for label in (0, 1, False, None, "  ", "two  words")]
    report = clean(write_rows(tmp_path / "in.jsonl", rows), stratified=True, label_field="label")
    assert report.classes == {"": (2, 0), "0": (1, 0), "1": (1, 0), "false": (1, 0), "two words": (1, 0)}


def test_a_draw_is_decided_by_the_seed_and_keeps_the_order(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"title": f"title {n:03}", "content": "c"} for n in range(200)])
    drawn = []
    for seed in (1, 1, 2):
        report = clean(path, max_samples=20, seed=seed)
        assert (report.num_kept, report.num_not_sampled) == (20, 180)
        drawn.append(kept(tmp_path / "out.jsonl"))
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0], key=lambda row: row["title"])  # type: ignore[index]


def test_every_setting_is_tried_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    tried = {*CASES, *CHANGES, "max_samples", "stratified", "seed"}
    tried |= {"exclude_files", "near_overlap"}
    assert tried == set(CleaningConfig.model_fields)
    assert all(f'"{name}"' in here or f"{name}=" in here for name in tried)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"max_per_class": 3}, "label_field"),
        ({"near_overlap": 0.8}, "exclude_files"),
        ({"drop_duplicates": "prompt"}, "prompt_fields"),
        ({"conflicts": "drop"}, "prompt_fields"),
    ],
)
def test_pain_23_a_setting_that_wants_another_to_mean_anything_says_which(
    tmp_path: Path, settings: dict[str, object], word: str
) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"title": "t", "content": "c"}])
    with pytest.raises(RecipeError, match=word):
        clean(path, **settings)
