"""A name that stands for nothing in the data is refused, and nothing is left behind."""

from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from cleaned_files import chat, clean, write_rows
from tunelab.cleaning.config import CleaningConfig
from tunelab.errors import DataError, RecipeError

TABLE = [{"title": f"title {n}", "content": "c", "kind": "ab"[n % 2]} for n in range(8)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"prompt_fields": ["titel"], "drop_duplicates": "prompt"}, "prompt_fields"),
        ({"prompt_fields": ["titel"], "conflicts": "drop"}, "prompt_fields"),
        ({"label_field": "titel", "max_per_class": 2}, "label_field"),
        ({"label_field": "titel", "stratified": True, "max_samples": 3}, "label_field"),
        ({"min_chars": {"titel": 4}}, "min_chars"),
        ({"max_chars": {"titel": 4}}, "max_chars"),
        ({"text_fields": ["titel"]}, "text_fields"),
    ],
)
def test_pain_23_a_column_that_is_not_there_is_refused_with_the_nearest_one(
    tmp_path: Path, suffix: str, settings: dict[str, object], setting: str
) -> None:
    path = tmp_path / f"in.{suffix}"
    table = pl.DataFrame(TABLE)
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[suffix](path)
    with pytest.raises(RecipeError, match=rf'{setting}: no row has the column "titel".*title, content, kind.*"title"'):
        clean(path, "new/deep/out.jsonl", **settings)
    assert list(tmp_path.iterdir()) == [path]


def test_test_rows_without_the_column_of_the_prompt_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", list(TABLE))
    test = write_rows(tmp_path / "test.jsonl", [{"titel": "x", "content": "y"}])
    with pytest.raises(DataError, match=r'test\.jsonl: the table has no column "title".*Did you mean "titel"'):
        clean(path, "new/out.jsonl", excluded=[test], prompt_fields=["title"])
    assert sorted(tmp_path.iterdir()) == [path, test]


def test_bytes_in_a_parquet_file_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    for table in ({"title": ["a", "a"], "image": [b"x", b"y"]}, {"title": ["a"], "image": [{"bytes": b"x"}]}):
        pl.DataFrame(table).write_parquet(path)
        with pytest.raises(DataError, match=r'in\.parquet: column "image" holds bytes'):
            clean(path, "new/out.jsonl", drop_duplicates="row")
        assert list(tmp_path.iterdir()) == [path]


def test_a_refusal_while_reading_leaves_no_folder(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"title": "t", "items": [1]}])
    with pytest.raises(DataError, match="items"):
        clean(path, "new/deep/out.csv")
    assert list(tmp_path.iterdir()) == [path]


def test_classes_stand_in_the_report_in_one_order(tmp_path: Path) -> None:
    rows = [{"text": "x", "kind": kind} for kind in "qzbkcamx"]
    report = clean(write_rows(tmp_path / "in.jsonl", rows), label_field="kind", max_per_class=1)
    assert list(report.classes) == sorted("qzbkcamx")


CHATS = [chat(f"question {n}", f'{{"label": "{"ab"[n % 2]}"}}', id=n) for n in range(8)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"min_chars": {"usr": 4}}, 'min_chars: no row has the field or role "usr".*assistant, user.*"user"'),
        ({"max_chars": {"usr": 4}}, 'max_chars: no row has the field or role "usr"'),
        ({"text_fields": ["usr"]}, 'text_fields: no row has the field or role "usr".*"user"'),
        ({"text_fields": ["usr"], "drop_duplicates": "row"}, 'text_fields: no row has the field or role "usr"'),
        ({"prompt_fields": ["mesages"]}, 'prompt_fields: no row has the field "mesages".*"messages"'),
        ({"label_field": "idd", "max_per_class": 1}, 'label_field: no row has the field "idd".*"id"'),
        ({"label_json_key": "lable", "max_per_class": 1}, 'label_json_key: no answer.*"lable".*"label"'),
        ({"label_pattern": "Class: (.)", "max_per_class": 1}, "label_pattern: it finds nothing"),
        ({"label_field": "id"}, "nothing is sampled by it"),
        ({"tokenizer": "x.json"}, "no tokens are counted"),
    ],
)
def test_pain_23_a_name_that_matches_nothing_in_conversations_is_refused(
    tmp_path: Path, settings: dict[str, object], told: str
) -> None:
    path = write_rows(tmp_path / "in.jsonl", list(CHATS))
    with pytest.raises(RecipeError, match=told):
        clean(path, "new/out.jsonl", **settings)
    assert list(tmp_path.iterdir()) == [path]


def test_a_role_that_speaks_late_and_fields_that_rows_have_are_no_mistake(tmp_path: Path) -> None:
    rare = chat("q", "a")
    rare["messages"].insert(0, {"role": "system", "content": "be kind"})  # type: ignore[attr-defined]
    path = write_rows(tmp_path / "in.jsonl", [*(chat(f"question {n}", "a", id=n) for n in range(3000)), rare])
    assert clean(path, min_chars={"system": 3, "*": 1}).num_kept == 3001
    assert clean(path, text_fields=["messages"], drop_duplicates="row").num_kept == 3001


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"languages": ["klingon"]}, 'which "klingon" is not. One of af, am'),
        ({"languages": ["english"]}, 'which "english" is not. Did you mean "en"'),
        ({"min_chars": {"*": 10}, "max_chars": {"*": 5}}, "at least 10, the fewest that min_chars allows"),
        ({"min_chars": {"*": 10}, "max_chars": {"title": 5}}, "at least 10 for title"),
        ({"min_tokens": 10, "max_tokens": 5}, "at least 10, the fewest that min_tokens allows"),
    ],
)
def test_settings_that_no_row_can_meet_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CleaningConfig(**settings)  # type: ignore[arg-type]


def test_rows_are_equal_by_the_roles_and_fields_that_are_named(tmp_path: Path) -> None:
    chats = [chat(question, f"answer {n}") for n, question in enumerate(("one", "two", "one", "three"))]
    report = clean(write_rows(tmp_path / "in.jsonl", chats), "a.jsonl", text_fields=["user"], drop_duplicates="row")
    assert (report.num_read, report.num_kept) == (4, 3)
    priced = [{"prompt": "p", "completion": "c", "price": price} for price in (1, 2, 1)]
    report = clean(write_rows(tmp_path / "p.jsonl", priced), "b.jsonl", text_fields=["price"], drop_duplicates="row")
    assert (report.num_read, report.num_kept) == (3, 2)
