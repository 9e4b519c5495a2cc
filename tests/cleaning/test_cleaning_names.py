"""A name that stands for nothing in the data is refused, and nothing is left behind."""

from pathlib import Path

import polars as pl
import pytest
from cleaned_files import clean, write_rows

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
