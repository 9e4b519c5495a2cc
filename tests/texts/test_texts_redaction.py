"""Redaction of texts that are JSON, and of calls: what was JSON stays JSON, and the check finds nothing after."""

import json
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cleaned_files import clean, counts, kept, rejected, write_rows
from tunelab.checks.text_index import texts_of
from tunelab.conversations import ConversationConfig, read_conversations
from tunelab.errors import DataError
from tunelab.sources import SourceFile, read_rows
from tunelab.texts.recognisers import find
from tunelab.texts.redaction import redacted

find_personal, find_secrets = partial(find, "personal_data"), partial(find, "secrets")

CARD = 4111111111111111
SECRET = "q7Wz9" + "Lk2Xv8" + "Rt4Ym6Pd1"
PIECES = st.sampled_from(
    [
        CARD,
        str(CARD),
        f"pay {CARD}",
        "a@b.org",
        "caf\u00e9\n+14155550132",
        "http://u:pa55w0rd@host.org",
        5,
        "x",
        -1.5,
        None,
    ]
)
NAMES = st.sampled_from(["a", "b", str(CARD), "a@b.org", "password", "api_key", "caf\u00e9"])
VALUES = st.recursive(
    PIECES | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3) | inner.map(json.dumps),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    value=st.lists(VALUES, max_size=3) | st.dictionaries(NAMES, VALUES, max_size=3),
    is_ascii=st.booleans(),
    is_tight=st.booleans(),
)
@example(value={"card": CARD}, is_ascii=True, is_tight=False)
@example(value={"password": SECRET}, is_ascii=True, is_tight=True)
def test_json_stays_json_of_the_same_shape_and_holds_nothing_after(
    value: object, is_ascii: bool, is_tight: bool
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, separators=(",", ":") if is_tight else None)
    for search in (find_personal, find_secrets):
        done = redacted(text, search)
        assert bool(done.kinds) >= bool(search(text))
        assert done.kinds or done.text == text
        if done.text is None:
            continue
        assert shape(json.loads(done.text)) == shape(value)
        again = json.dumps(json.loads(done.text), ensure_ascii=False, separators=(",", ":"))
        assert search(done.text) == search(again) == []


def shape(value: object) -> object:
    if isinstance(value, dict):
        return [shape(each) for each in value.values()]
    return [shape(each) for each in value] if isinstance(value, list) else "leaf"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"card":  4111111111111111, "n": 1.50}', '{"card":  "[CARD]", "n": 1.50}'),
        ('{"to": "a\\u0040b.org"}', '{"to": "[EMAIL]"}'),
        ('{"4111111111111111": [4111111111111111]}', '{"[CARD]": ["[CARD]"]}'),
        ('{"body": "{\\"card\\": 4111111111111111}"}', '{"body": "{\\"card\\": \\"[CARD]\\"}"}'),
        ("card 4111111111111111", "card [CARD]"),
        (
            'to a@b.org: <tool_call>{"card": 4111111111111111, "n": {}}</tool_call> {"c": 4111111111111111} c@d.org',
            'to [EMAIL]: <tool_call>{"card": "[CARD]", "n": {}}</tool_call> {"c": "[CARD]"} [EMAIL]',
        ),
        ("4111111111111111", "[CARD]"),
        ("{card: 4111111111111111}", "{card: [CARD]}"),
    ],
)
def test_what_lies_around_a_hit_stands_as_it_was_written(text: str, wanted: str) -> None:
    assert redacted(text, find_personal).text == wanted


def test_a_secret_known_by_its_name_leaves_the_name() -> None:
    text = json.dumps({"password": SECRET, "n": 1})
    assert redacted(text, find_secrets).text == '{"password": "[ASSIGNED_SECRET]", "n": 1}'


def test_two_fields_that_would_get_one_name_cannot_be_redacted() -> None:
    done = redacted('{"a@b.org": 1, "c@d.org": 2}', find_personal)
    assert (done.kinds, done.text) == (("email", "email"), None)


ARGUMENTS = [
    {"card": CARD},
    {"cards": [CARD, {str(CARD): 1}]},
    {"to": "a@b.org", "n": 2**40, "half": 0.5},
    {"caf\u00e9": "mail a@b.org or +1 415 555 0132"},
    {"n": 1},
]


def call_rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    ask, done = {"role": "user", "content": "pay"}, {"role": "assistant", "content": "paid"}
    for arguments in ARGUMENTS:
        for form in (arguments, json.dumps(arguments)):
            call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": form}}
            use = {"type": "tool_use", "id": "c", "name": "pay", "input": form}
            for said in ({"content": None, "tool_calls": [call]}, {"content": [use]}):
                answer = {"role": "tool", "tool_call_id": "c", "content": json.dumps({"by": arguments})}
                rows.append({"messages": [ask, {"role": "assistant", **said}, answer, done]})
    return rows


def found_by_the_check(path: Path) -> list[int]:
    """Return the lines in which the texts that the check looks at hold personal data."""
    rows = list(read_rows([SourceFile(name="f", path=path)]))
    conversations = read_conversations(iter(rows), ConversationConfig(), base=path.parent).items
    assert len(conversations) == len(rows) > 0
    return [each.origin.line for each in conversations if any(map(find_personal, texts_of([each]).different))]


def test_after_redaction_the_check_finds_no_personal_data_in_calls(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", call_rows())
    bad = found_by_the_check(path)
    assert len(bad) == 16
    out, report = tmp_path / "out.jsonl", clean(path, personal_data="redact")
    assert (report.num_kept, [each.count for each in report.changed]) == (20, [16])
    assert found_by_the_check(out) == []
    calls = [json.loads(line)["messages"][1] for line in out.read_text().splitlines()]
    assert calls[0]["tool_calls"][0]["function"]["arguments"] == {"card": "[CARD]"}
    assert calls[1]["content"][0]["input"] == {"card": "[CARD]"}
    assert calls[2]["tool_calls"][0]["function"]["arguments"] == '{"card": "[CARD]"}'
    assert calls[8]["tool_calls"][0]["function"]["arguments"] == {"to": "[EMAIL]", "n": 2**40, "half": 0.5}


def test_report_and_drop_see_the_calls_that_the_check_sees(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", call_rows())
    report = clean(path, personal_data="report")
    assert [each.count for each in report.reported] == [len(found_by_the_check(path))] == [16]
    out, report = tmp_path / "out.jsonl", clean(path, personal_data="drop")
    assert counts(report) == {"personal_data": 16}
    assert found_by_the_check(out) == []


def test_a_row_that_cannot_be_redacted_is_rejected_with_its_reason(tmp_path: Path) -> None:
    rows = call_rows()[-1:]
    call = {"function": {"name": "mail", "arguments": {"a@b.org": 1, "c@d.org": 2}}}
    bad = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]}]}
    report = clean(write_rows(tmp_path / "in.jsonl", [bad, *rows]), personal_data="redact")
    assert (report.num_kept, counts(report), report.changed) == (1, {"personal_data": 1}, ())
    (told,) = rejected(tmp_path)
    assert told["reason"] == "it holds email, and its JSON cannot be redacted"


TABLE_ROW = {
    "title": "<b>x</b> a@b.org",
    "card": CARD,
    "n": 5,
    "is": True,
    "info": {"k": CARD, "a@b.org": 1, "said": "<i>to</i> c@d.org", "password": SECRET, "n": 1.5},
    "l": ["<i>b</i> b@c.org", CARD, {"deep": [CARD]}],
}
REDACTED = {
    "title": "x [EMAIL]",
    "card": "[CARD]",
    "n": 5,
    "is": True,
    "info": {"k": "[CARD]", "[EMAIL]": 1, "said": "to [EMAIL]", "password": "[ASSIGNED_SECRET]", "n": 1.5},
    "l": ["b [EMAIL]", "[CARD]", {"deep": ["[CARD]"]}],
}


def test_numbers_and_nested_values_of_a_table_are_redacted_and_counted(tmp_path: Path) -> None:
    other = {"title": "y", "card": 1, "n": 7, "is": False, "info": {"k": 1}, "l": []}
    path = write_rows(tmp_path / "in.jsonl", [TABLE_ROW, other, {**other, "card": CARD}])
    report = clean(path, strip_html=True, personal_data="redact", secrets="redact")
    assert kept(tmp_path / "out.jsonl") == [REDACTED, other, {**other, "card": "[CARD]"}]
    assert {each.rule: each.count for each in report.changed} == {"strip_html": 1, "personal_data": 2, "secrets": 1}
    assert [each.count for each in clean(path, personal_data="report").reported] == [2]
    assert counts(clean(path, personal_data="drop")) == {"personal_data": 2}


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_number_of_a_parquet_column_becomes_text_and_no_number_is_left(tmp_path: Path, is_nested: bool) -> None:
    more = {"l": [CARD, 2]} if is_nested else {}
    rows = [{"title": "t", "card": CARD, "n": 1, **more}, {"title": "u", "card": 5, "n": 2, **more}]
    pl.DataFrame(rows).write_parquet(tmp_path / "in.parquet")
    report = clean(tmp_path / "in.parquet", personal_data="redact", drop_duplicates="row")
    more = {"l": ["[CARD]", 2]} if is_nested else {}
    assert kept(tmp_path / "out.jsonl") == [{"title": "t", "card": "[CARD]", "n": 1, **more}, {**rows[1], **more}]
    assert [each.count for each in report.changed] == [1 + is_nested]
    if is_nested:
        with pytest.raises(DataError, match=r'the field "l" holds lists.*jsonl'):
            clean(tmp_path / "in.parquet", "out.parquet", personal_data="redact")
    else:
        clean(tmp_path / "in.parquet", "out.parquet", personal_data="redact")
        assert pl.read_parquet(tmp_path / "out.parquet")["card"].to_list() == ["[CARD]", "5"]


@pytest.mark.parametrize("rule", [{"conflicts": "drop", "prompt_fields": ("q",)}, {"near_duplicates": 0.5}], ids=str)
@pytest.mark.parametrize("kind", ["text", "number", "parquet"])
def test_a_row_that_is_rejected_late_stands_as_it_was_before_any_change(
    tmp_path: Path, kind: str, rule: dict[str, object]
) -> None:
    said = "one two three four five six seven eight"
    more = {} if kind == "text" else {"n": CARD}
    rows = [{"q": "<b>ask</b> a@b.org", "a": f"{said} {end}", **more} for end in ("nine", "ten")]
    path = tmp_path / "in.parquet" if kind == "parquet" else write_rows(tmp_path / "in.jsonl", rows)
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    report = clean(path, strip_html=True, personal_data="redact", **rule)
    left = 2 - report.num_kept
    assert left > 0
    assert [told["row"] for told in rejected(tmp_path)] == rows[-left:]
