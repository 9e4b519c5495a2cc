"""Parquet in, parquet out: kinds of columns, lists and structs stay; what JSON has no word for is refused."""

import math
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from cleaned_files import chat, clean, counts, kept, rejected, write_rows
from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.config import CleaningConfig
from tunelab.errors import DataError
from tunelab.sources import SourceFile

CHATS = {
    "messages": [
        [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"<b>answer</b> {n}"}]
        for n in range(4)
    ],
    "score": [1, 2, None, 4],
    "seen": [datetime(2026, 1, 1, 0, 0, n) for n in range(4)],
}
KINDS = {"score": pl.Int16, "seen": pl.Datetime("ns")}


@pytest.mark.parametrize("wait", [{}, {"test_size": 0.5}], ids=["one-pass", "split"])
def test_conversations_in_parquet_stay_what_they_are_in_parquet(tmp_path: Path, wait: dict[str, float]) -> None:
    table = pl.DataFrame(CHATS, schema_overrides=KINDS)
    table[[0, 1, 1, 2, 3]].write_parquet(tmp_path / "in.parquet")
    out = "sides" if wait else "out.parquet"
    report = clean(tmp_path / "in.parquet", out, drop_duplicates="row", **wait)
    assert counts(report) == {"drop_duplicates": 1}
    parts = sorted((tmp_path / "sides").glob("*.parquet")) if wait else [tmp_path / out]
    written = pl.concat([pl.read_parquet(part) for part in parts]).sort("seen")
    assert written.schema == table.schema
    assert written.equals(table)
    report = clean(tmp_path / "in.parquet", "plain.parquet", strip_html=True, max_chars={"user": 10})
    assert report.num_kept == 5
    plain = pl.read_parquet(tmp_path / "plain.parquet")
    assert plain.schema == table.schema
    assert plain["messages"].to_list()[1][1] == {"role": "assistant", "content": "answer 1"}
    assert plain.drop("messages").equals(table[[0, 1, 1, 2, 3]].drop("messages"))


def test_a_number_that_becomes_text_goes_into_json_lines_and_not_into_its_column(tmp_path: Path) -> None:
    card = int("4111" + "1111" * 3)
    call = {"function": {"name": "f", "arguments": {"card": card}}}
    rows = [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": [call]}]}
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "in.parquet")
    clean(tmp_path / "in.parquet", personal_data="redact")
    assert "[CARD]" in (tmp_path / "out.jsonl").read_text()
    with pytest.raises(DataError, match=r"holds lists or objects.*jsonl"):
        clean(tmp_path / "in.parquet", "out.parquet", personal_data="redact")
    with pytest.raises(DataError, match=r"holds lists or objects.*\.parquet out of \.parquet alone.*jsonl"):
        clean(write_rows(tmp_path / "in.jsonl", [chat("q", "a")]), "out.parquet")


@pytest.mark.parametrize("value", [math.nan, math.inf, [1.0, -math.inf], [{"a": math.nan}]], ids=str)
def test_what_json_has_no_number_for_is_refused_with_its_place(tmp_path: Path, value: object) -> None:
    pl.DataFrame({"title": ["a", "b"], "price": [None, value]}, strict=False).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r'in\.parquet:2: column "price" holds NaN or infinity'):
        clean(tmp_path / "in.parquet")


def test_whole_numbers_and_others_make_one_column_and_text_beside_numbers_is_told(tmp_path: Path) -> None:
    files = []
    for name, values in (("a", [1, 2]), ("b", [0.5, 1.0]), ("c", ["one", "two"])):
        files.append(SourceFile(name=f"{name}.parquet", path=tmp_path / f"{name}.parquet"))
        pl.DataFrame({"title": ["x", "y"], "price": values}).write_parquet(tmp_path / f"{name}.parquet")
    clean_files(files[:2], tmp_path / "out.parquet", CleaningConfig())
    assert pl.read_parquet(tmp_path / "out.parquet")["price"].to_list() == [1.0, 2.0, 0.5, 1.0]
    with pytest.raises(DataError, match='the field "price" is of one kind in some rows and of another'):
        clean_files(files, tmp_path / "all.parquet", CleaningConfig())
    assert not (tmp_path / "all.parquet").exists()


def test_columns_of_categories_are_texts_and_rejected_rows_show_their_columns(tmp_path: Path) -> None:
    table = pl.DataFrame({"kind": pl.Series(["one kind", "x"], dtype=pl.Categorical), "n": [1, 2]})
    table.write_parquet(tmp_path / "in.parquet")
    clean(tmp_path / "in.parquet", "out.jsonl", min_chars={"kind": 3})
    assert kept(tmp_path / "out.jsonl") == [{"kind": "one kind", "n": 1}]
    assert [each["row"] for each in rejected(tmp_path)] == [{"kind": "x", "n": 2}]


def test_shards_that_save_to_disk_wrote_are_cleaned_as_parquet_is(tmp_path: Path) -> None:
    table = pl.DataFrame(CHATS, schema_overrides=KINDS)
    table[[0, 1, 1, 2, 3]].write_ipc_stream(tmp_path / "data-00000-of-00001.arrow")
    report = clean(tmp_path / "data-00000-of-00001.arrow", "out.parquet", drop_duplicates="row", strip_html=True)
    assert (report.num_kept, counts(report)) == (4, {"drop_duplicates": 1})
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written.schema == table.schema
    assert written["messages"].to_list()[1][1]["content"] == "answer 1"
