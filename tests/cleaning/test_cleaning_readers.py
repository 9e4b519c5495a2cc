"""The fast readers take what `sources` takes, row by row and line by line, whatever stands in the file."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cleaned_files import chat, clean, counts, kept, rejected, write_rows
from tunelab.cleaning.readers import chunks
from tunelab.cleaning.readers.read_batches import OtherPlanError, find_read_plan, first_rows, read_batches
from tunelab.errors import DataError
from tunelab.sources import SourceFile, read_rows
from tunelab.sources.text_stream import MAX_LINE_BYTES

MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_sources(path: Path) -> tuple[list[tuple[int, object]], list[int]] | str:
    """Return (line, value) of the rows and the lines of bad ones; or the first words of the error."""
    errors: list[DataError] = []
    try:
        file = SourceFile(name="f", path=path)
        rows = [(row.origin.line, row.value) for row in read_rows([file], on_bad=errors.append)]
    except DataError:
        return "refused"
    return rows, sorted(int(error.where.rpartition(":")[2]) for error in errors)


def as_batches(path: Path) -> tuple[list[tuple[int, object]], list[int]] | str:
    """Return the same, read for cleaning."""
    files = [SourceFile(name="f", path=path)]
    try:
        read_plan = find_read_plan(first_rows(files), is_conversation=False)
        while True:
            try:
                rows, bad = [], []
                for batch in read_batches(files, read_plan):
                    values = batch.values(pl_rows(len(batch.lines)))
                    rows += zip(batch.lines.to_list(), values, strict=True)
                    bad += [each.line for each in batch.unreadable]
                return rows, sorted(bad)
            except OtherPlanError as other:
                read_plan = other.read_plan
    except DataError:
        return "refused"


def pl_rows(count: int) -> pl.Series:
    return pl.int_range(count, dtype=pl.UInt32, eager=True)


@pytest.fixture(params=[64, 1 << 25], ids=["small pieces", "one piece"])
def piece_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    for name in ("tunelab.cleaning.readers.delimited.TABLE_BYTES", "tunelab.cleaning.readers.jsonl.TABLE_BYTES"):
        monkeypatch.setattr(name, request.param)
    monkeypatch.setattr("tunelab.cleaning.readers.jsonl.OBJECT_BYTES", request.param)
    return int(request.param)


@MANY
@given(text=st.text(alphabet='ab,"\n\r; \té', max_size=60), quotes=st.booleans())
@example(text='5" pipe,x\ny,z\n6" w,v\n', quotes=False)
@example(text='"a\nb",c\r\n"d ""e""",f\r\n', quotes=False)
@example(text="x\ny,z\n\n\na,b", quotes=False)
@example(text=',"";"', quotes=False)
@example(text="\n,;,", quotes=False)
@example(text="\n,,", quotes=False)  # a separator too few, and one too many
def test_a_csv_is_read_as_sources_read_it(tmp_path: Path, piece_bytes: int, text: str, quotes: bool) -> None:
    path = tmp_path / "f.csv"
    if quotes:
        cells = [each.replace('"', '""') for each in text.split(",")]
        text = "".join(f'"{cell}","{cell}x"\n' for cell in cells)
    path.write_bytes(b"title,content\n" + text.encode())
    assert as_batches(path) == as_sources(path)


FOREIGN_TABLES = [
    "sep=;\r\ntitle;content\r\na,b;c\r\n", '"sep=;"\ntitle;content\na;c\n', 'title, content\n"a", "b, c"\n"d", "e"\n',
    ",title,content\n0,a,b\n1,c,d\n", "title,content\na,b\n\ufefftitle,content\nc,d\n",
    "title,content\na,b\ntitle,content\n",
    'title,content\r\n"a\r\nb","c\nd"\r\ne,f\r\n', 'title,content\n"a\r\nb","c\rd"\ne,f\n',
    "title,content\ntitle,x\ntitle,\n",
    '"ti\r\ntle",content\na,b\n', "title,content\na,nan\nNA,None\n", "title,content\n\ufeffa,b\nc,\ufeffd\n",
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN_TABLES)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_as_other_programs_write_them_are_read_as_sources_read_them(
    tmp_path: Path, piece_bytes: int, text: str, mark: str
) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes((mark + text).encode())
    assert as_batches(path) == as_sources(path)
    assert as_batches(path)[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TABLE_LINE = st.fixed_dictionaries({"a": st.none() | st.text(max_size=12), "b": st.text(max_size=6)}).map(json.dumps)
ODD_LINES = st.sampled_from(
    [
        '{"a": "x", "b": "y", "c": "z"}', '{"a": "x"}', '{"a": 1, "b": "y"}', '{"a": "x", "a": "y", "b": "z"}',
        '{"a": "\\ud800", "b": ""}', '{"a": "\\ud83d\\ude00", "b": "\\": \\""}', '{"a":"x","b":"y"} {"a":"x","b":"y"}',
        '{"b": "y", "a": null}', '{"a" : "x" , "b" : "y"}', "nonsense", "[1]", "null", '"a"', "", "   ", '{"a": NaN}',
        '{"a": "x", "b": "y"', '{"a": "tab\there", "b": ""}', '{"a": 1e999, "b": ""}',
        '{"b": ":\\":", "a": "\\\\\\":"}', '{"c": null, "d": null}', '{"a": null, "d": null}',
    ]
)  # fmt: skip
SLY_LINES = [
    '{"a": "x", "b": "y", "c": 5}', '{"a": "x", "b": "y", "c": [1]}', '{"a" : "x", "b": "y", "c": "z"}',
    '{"a" : "x", "b": "y", "a": "z"}', '{"a": 5, "b": "\\": null"}', '{"a": true, "b": "\\":\\":"}',
    '{"a": [1, "x"], "b": "\\": null"}', '{"a": {}, "b": "\\": null"}', '{"a": -1, "b": "\\": null"}',
    '{"x\\"a": "x", "b": "y"}', '{"c": {"a": null}, "b": "y"}', '{"\\u0061": "x", "b": "y"}',
    '{"a": "5", "b": "true"}', '{"a": "[", "b": "{}"}', '{"a": "\\u0000", "b": "\\\\"}', '{"a": null, "b": "x :y"}',
    '{"a": "\\ud83dx", "b": "y"}', '{"a": "\\uD83D\\uDE00", "b": "\\ud7ff"}', '{"a":"","b":"\\"\\" : \\""}',
    '\ufeff{"a": "x", "b": "y"}', '\ufeff', '{"a": "\ufeff", "b": "\\n\ufeff"}', ' \ufeff{"a": "x", "b": "y"}',
    '{"a": "x", "b": "y", "": 1}', '{"a": "x", "b\\\\": "y"}', '{"a": "x", "b": "y", "b\\\\": 1}', '{"a": 1, "a" : 2}',
]  # fmt: skip


@pytest.mark.parametrize("line", SLY_LINES)
@pytest.mark.parametrize("looked_at", [1, 2], ids=["columns", "objects"])
def test_no_line_of_json_slips_through_as_a_row_of_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, looked_at: int
) -> None:
    monkeypatch.setattr("tunelab.cleaning.readers.read_batches.SHAPE_ROWS", looked_at)
    path = tmp_path / "f.jsonl"
    path.write_text('{"a": "x", "b": "y"}\n' + ("{}\n" * (looked_at - 1)) + line + "\n")
    assert as_batches(path) == as_sources(path)


@MANY
@given(
    head=st.lists(TABLE_LINE, min_size=1, max_size=4),
    tail=st.lists(TABLE_LINE | ODD_LINES | VALUES.map(json.dumps), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_json_lines_are_read_as_sources_read_them(
    tmp_path: Path, piece_bytes: int, monkeypatch: pytest.MonkeyPatch, head: list[str], tail: list[str], end: str
) -> None:
    monkeypatch.setattr("tunelab.cleaning.readers.read_batches.SHAPE_ROWS", len(head))
    path = tmp_path / "f.jsonl"
    path.write_bytes("".join(line + end for line in [*head, *tail]).encode())
    assert as_batches(path) == as_sources(path)


@pytest.mark.parametrize("filled", ["of texts", "of messages"])
def test_two_rows_on_a_line_before_a_blank_one_shift_no_row(tmp_path: Path, filled: str) -> None:
    answers = {"q1": "a", "q2": "b", "q3": "c", "q4": "", "q5": "e"}
    rows = [chat(*each) if filled == "of messages" else dict(zip("qa", each, strict=True)) for each in answers.items()]
    lines = [json.dumps(row) for row in rows]
    lines[1] += json.dumps(rows[0])  # as when files are joined of which one does not end its last line
    path = tmp_path / "f.jsonl"
    path.write_text("\n".join(lines) + "\n\n")
    clean(path, drop_blank=True)
    assert kept(tmp_path / "out.jsonl") == [rows[0], rows[2], rows[4]]
    assert [each["where"] for each in rejected(tmp_path)] == ["f.jsonl:2", "f.jsonl:4"]


@MANY
@given(content=st.binary(max_size=80))
def test_bytes_of_any_kind_are_read_or_refused_as_sources_do(tmp_path: Path, content: bytes) -> None:
    for name in ("f.jsonl", "f.csv", "f.json"):
        path = tmp_path / name
        path.write_bytes(content)
        assert as_batches(path) == as_sources(path)


def test_a_byte_order_mark_and_packing_change_nothing(tmp_path: Path) -> None:
    rows = [{"a": f"text {n}", "b": "ü"} for n in range(5)]
    text = b"\xef\xbb\xbf" + "".join(json.dumps(row) + "\n" for row in rows).encode()
    (tmp_path / "f.jsonl").write_bytes(text)
    (tmp_path / "f.jsonl.gz").write_bytes(gzip.compress(text))
    for name in ("f.jsonl", "f.jsonl.gz"):
        found = as_batches(tmp_path / name)
        assert found == as_sources(tmp_path / name)
        assert [value for _, value in found[0]] == rows


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_above_the_limit_is_rejected_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    assert max(chunks.OBJECT_BYTES, chunks.TABLE_BYTES) < MAX_LINE_BYTES
    monkeypatch.setattr("tunelab.cleaning.readers.chunks.MAX_LINE_BYTES", 5000)
    monkeypatch.setattr("tunelab.cleaning.readers.jsonl.OBJECT_BYTES", 1000)
    rows = [chat("q", "a"), chat("q", "x" * 4000), chat("q", "x" * 5001), chat("q", "x" * 90_000), chat("r", "b")]
    for many in (rows, rows[:-1]):
        path = write_rows(tmp_path / "in.jsonl", list(many))
        path.write_text(path.read_text().rstrip("\n") + end)
        report = clean(path)
        assert counts(report) == {"unreadable": 2}
        assert report.num_kept == len(many) - 2
        assert [each["where"] for each in rejected(tmp_path)] == ["in.jsonl:3", "in.jsonl:4"]
        assert "this line is longer than 64 MiB" in str(rejected(tmp_path)[0]["reason"])


def test_a_table_that_turns_out_to_be_none_is_read_again_as_objects(tmp_path: Path) -> None:
    rows = [{"title": f"t{n}", "content": "c"} for n in range(1500)]
    rows += [{"title": "t", "content": "c", "extra": "e"}, {"title": "t", "content": "c"}, {"title": "t", "content": 5}]
    report = clean(write_rows(tmp_path / "in.jsonl", rows), drop_duplicates="row")
    assert report.num_kept == len(rows)


def test_rows_are_equal_by_their_texts_whatever_kind_of_file_they_stand_in(tmp_path: Path) -> None:
    from tunelab.cleaning.clean import clean_files
    from tunelab.cleaning.config import CleaningConfig

    rows = [{"title": f"t{n}", "content": f"c{n}"} for n in range(5)]
    one = write_rows(tmp_path / "one.jsonl", rows)
    for suffix in ("csv", "parquet", "tsv"):
        clean(one, f"two.{suffix}")
    (tmp_path / "three.json").write_text(json.dumps(rows))
    names = ["one.jsonl", "two.csv", "two.parquet", "two.tsv", "three.json"]
    files = [SourceFile(name=name, path=tmp_path / name) for name in names]
    report = clean_files(files, tmp_path / "o" / "out.jsonl", CleaningConfig(drop_duplicates="row"))
    assert (report.num_read, report.num_kept) == (25, 5)
    assert report.rejected[0].examples[0].endswith("(one.jsonl:1)")


def test_a_null_equals_a_null_in_a_column_of_nothing_else(tmp_path: Path) -> None:
    from tunelab.cleaning.clean import clean_files
    from tunelab.cleaning.config import CleaningConfig

    write_rows(tmp_path / "one.jsonl", [{"title": "t", "content": None}, {"title": "t", "content": "c"}])
    pl.DataFrame({"title": ["t", "u"], "content": [None, None]}).write_parquet(tmp_path / "two.parquet")
    files = [SourceFile(name=name, path=tmp_path / name) for name in ("one.jsonl", "two.parquet")]
    report = clean_files(files, tmp_path / "o" / "out.jsonl", CleaningConfig(drop_duplicates="row"))
    assert [example.split(":")[0] for example in report.rejected[0].examples] == ["two.parquet"]
