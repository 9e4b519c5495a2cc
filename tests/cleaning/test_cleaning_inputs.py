"""What is cleaned together is one kind of rows, each file once; what was decided on the way is said."""

import json
from pathlib import Path

import polars as pl
import pytest

from cleaned_files import chat, clean, kept, rejected, write_rows
from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.config import CleaningConfig
from tunelab.cli.main import run
from tunelab.errors import DataError
from tunelab.events import AnyEvent, EventLog, Planned, Progress
from tunelab.sources import SourceFile


def source(path: Path) -> SourceFile:
    """Return a file under its bare name."""
    return SourceFile(name=path.name, path=path)


def test_a_table_and_a_chat_file_together_are_refused_with_what_each_looks_like(tmp_path: Path) -> None:
    chats = write_rows(tmp_path / "chat.jsonl", [chat("q", "a")])
    table = write_rows(tmp_path / "table.jsonl", [{"title": "t", "content": "c"}])
    wanted = 'chat.jsonl is conversations of the kind "messages", and table.jsonl is a table: title, content'
    with pytest.raises(DataError, match=wanted):
        clean_files([source(chats), source(table)], tmp_path / "out.jsonl", CleaningConfig())
    pairs = write_rows(tmp_path / "pairs.jsonl", [{"prompt": "t", "completion": "c"}])
    with pytest.raises(DataError, match=r"table: title, content, and pairs\.jsonl is conversations of the kind"):
        clean_files([source(table), source(pairs)], tmp_path / "out.jsonl", CleaningConfig())
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_is_named_twice_is_read_once_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl", [chat("q", "a"), chat("r", "b")])
    (tmp_path / "link.jsonl").symlink_to("rows.jsonl")
    assert run(["clean", "rows.jsonl", "rows.jsonl", "*.jsonl", "-o", "out.jsonl"]) == 0
    printed = capsys.readouterr().out
    assert "rows.jsonl is named twice and is read once" in printed
    assert "link.jsonl is the same file as rows.jsonl and is read once" in printed
    assert "2 rows read: 2 kept" in printed


def test_what_a_folder_holds_besides_rows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "rows.jsonl", [chat("q", "a")])
    (tmp_path / "data" / "words.py").write_text("")
    assert run(["clean", "data", "-o", "out.jsonl"]) == 0
    assert "data: ignored words.py" in capsys.readouterr().out


def test_columns_stand_in_the_order_of_most_rows_and_a_missing_field_is_an_empty_cell(tmp_path: Path) -> None:
    rows: list[object] = [
        {"content": "c0"},
        {"content": "c1", "title": "t1"},
        *({"title": f"t{n}", "content": "c"} for n in range(2, 6)),
    ]
    path = write_rows(tmp_path / "in.jsonl", rows)
    report = clean(path, "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[:3] == ["title,content", ",c0", "t1,c1"]
    assert any("the columns are title, content, as in most rows" in note for note in report.notes)
    assert not any("the columns are" in note for note in clean(path).notes)
    even = write_rows(tmp_path / "even.jsonl", rows[2:])
    assert not any("the columns are" in note for note in clean(even, "out.csv").notes)


def test_numbers_stand_in_a_csv_as_they_were_written(tmp_path: Path) -> None:
    numbers = [
        "9007199254740993",
        "1.50",
        "1e5",
        "-0",
        "123456789012345678901234567890",
        "true",
        "null",
        '"x, \\"y\\""',
    ]
    lines = [f'{{"t": "\\u00e9", "n" : {number}}}' for number in numbers]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    clean(tmp_path / "in.jsonl", "out.csv")
    cells = [row["n"] for row in kept(tmp_path / "out.csv")]  # type: ignore[index]
    assert cells == [*numbers[:6], "", 'x, "y"']


def test_lists_that_have_no_place_in_the_output_are_refused_before_all_is_read(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat(f"question {n}", "answer") for n in range(50)])
    pl.DataFrame([chat("q", "a")]).write_parquet(tmp_path / "in.parquet")
    for name, out in (("in.jsonl", "out.csv"), ("in.jsonl", "out.parquet"), ("in.parquet", "out.tsv")):
        told: list[AnyEvent] = []
        config = CleaningConfig(near_duplicates=0.9)
        refused = pytest.raises(DataError, match=r'"messages" holds lists or objects.*\.jsonl')
        with refused, EventLog(None, [told.append]) as events:
            clean_files([source(path.with_name(name))], tmp_path / out, config, events=events)
        assert not [event for event in told if isinstance(event, Progress)]


def test_what_will_be_read_is_told_first_and_then_how_far_it_has_come_to_the_end(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat(f"question {n}", "answer") for n in range(50)])
    told: list[AnyEvent] = []
    with EventLog(None, [told.append]) as events:
        clean_files([source(path)], tmp_path / "out.jsonl", CleaningConfig(), events=events)
    planned, *_, last = told
    assert isinstance(planned, Planned)
    assert planned.amounts == {"files": 1, "bytes": path.stat().st_size}
    assert isinstance(last, Progress)
    assert (last.done, last.total, last.unit, last.rows) == (path.stat().st_size, path.stat().st_size, "bytes", 50)


def test_rows_of_a_later_piece_may_lack_a_column(tmp_path: Path) -> None:
    rows: list[object] = [{"n": 1, "text": "x" * 1000}] * 1_000 + [{"text": "y" * 1000}] * 17_000
    for out in ("out.csv", "out.parquet"):
        clean(write_rows(tmp_path / "in.jsonl", rows), out)
        assert len(kept(tmp_path / out)) == len(rows)


def test_rows_of_a_csv_or_an_array_that_cannot_be_read_keep_their_text(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'a,b\nx,y\n"open,z\nw\nk,l\n"two\nlines",b,c\nj\xff,k\n')
    clean(path)
    assert [(each["where"], each["row"]) for each in rejected(tmp_path)] == [
        ("in.csv:3", '"open,z'),
        ("in.csv:4", "w"),
        ("in.csv:6", '"two\nlines",b,c'),
        ("in.csv:8", "j\ufffd,k"),
    ]
    path = tmp_path / "in.json"
    path.write_text('[{"a": "x"}, {"a": 1, "a": 2}]')
    clean(path)
    assert [each["row"] for each in rejected(tmp_path)] == ['{"a": 1, "a": 2}']


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv"])
def test_a_line_in_another_encoding_says_which_it_probably_is(tmp_path: Path, name: str) -> None:
    lines = ["a,b", "x,y", "café,z"] if name == "in.csv" else ['{"a": "x"}', '{"a": "café"}']
    (tmp_path / name).write_bytes("\n".join(lines).encode("latin-1"))
    clean(tmp_path / name)
    assert "looks like Windows-1252 (Western Europe)" in str(rejected(tmp_path)[0]["reason"])


def test_rejected_rows_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = [json.dumps({"t": "x" * n}) if n % 3 else '{"t": ' for n in range(30)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    clean(tmp_path / "in.jsonl", min_chars={"t": 12}, max_chars={"t": 20}, near_duplicates=0.9)
    places = [int(str(each["where"]).rpartition(":")[2]) for each in rejected(tmp_path)]
    assert len(places) > 20
    assert places == sorted(places)


def test_no_row_conflicts_with_itself(tmp_path: Path) -> None:
    rows: list[object] = [chat("q", "a"), chat("r", "x"), chat("q", "a"), chat("q", "b")]
    clean(write_rows(tmp_path / "in.jsonl", rows), conflicts="drop")
    assert [(each["where"], each["detail"]) for each in rejected(tmp_path)] == [
        ("in.jsonl:1", "in.jsonl:4"),
        ("in.jsonl:3", "in.jsonl:4"),
        ("in.jsonl:4", "in.jsonl:1"),
    ]
