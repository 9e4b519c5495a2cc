"""Rows of tables: CSV, TSV and parquet. The columns of the header name the fields."""

import csv
import re
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.errors import DataError, listed
from tunelab.sources.row import Origin, Row
from tunelab.sources.text_stream import MAX_LINE_BYTES, OnBad, open_bytes, read_head, read_lines, refuse

if TYPE_CHECKING:
    import polars as pl

MAX_UNPACKED_BYTES = 16 * 2**30
"""A packed parquet file that grows beyond this is refused; other formats are read as a stream."""
MAX_COLUMNS = 10_000
_PARQUET_BATCH_ROWS = 1000
_DECODE = """
import sys, polars
for batch in polars.scan_parquet(sys.argv[1], glob=False).collect_batches(chunk_size=100_000, lazy=True):
    pass
"""
_REREAD_TIMES = 4
_REREAD_CHARS = 2**20
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def read_csv(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a CSV file; of comma, semicolon, tab and bar, the one that the header has most of separates."""
    return _read_separated(path, name, on_bad, separator_of(read_head(path, name)))


def separator_of(head: str) -> str:
    """Return what separates the fields of a CSV file that begins with `head`."""
    header = head.lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=header.count)


def read_tsv(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a table separated by tabs."""
    read_head(path, name)
    return _read_separated(path, name, on_bad, "\t")


def read_parquet(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a parquet file, a thousand held at a time; their lines are row numbers. None of them is bad."""
    line = 0
    for batch in parquet_frames(path, name):
        # a text that many rows share is in the file once, and in each row that is held
        held = int(max(1, min(512, MAX_LINE_BYTES * batch.height // max(1, batch.estimated_size()))))
        for value in batch.iter_rows(named=True, buffer_size=held):
            line += 1
            yield Row(value=value, origin=Origin(path=name, line=line))


def parquet_frames(path: Path, name: str) -> "Iterator[pl.DataFrame]":
    """Yield a parquet file in frames of about a thousand rows.

    Raises:
        DataError: it is none, or damaged, or grows beyond the limit when it is unpacked.
    """
    import polars as pl

    with open_bytes(path, name) as stream, tempfile.NamedTemporaryFile(suffix=".parquet") as unpacked:
        plain = path
        if path.suffix.lower() in (".gz", ".zst", ".zstd"):
            while chunk := stream.read(2**20):
                unpacked.write(chunk)
                if unpacked.tell() > MAX_UNPACKED_BYTES:
                    raise DataError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB", where=name)
            unpacked.flush()
            plain = Path(unpacked.name)
        _refuse_what_ends_the_process(plain, name)
        try:
            yield from pl.scan_parquet(plain, glob=False).collect_batches(chunk_size=_PARQUET_BATCH_ROWS, lazy=True)
        except (pl.exceptions.PolarsError, OSError) as error:
            what = f"not a parquet file, or a damaged one ({str(error).splitlines()[0]})"
            raise DataError(what, where=name) from error


def _refuse_what_ends_the_process(path: Path, name: str) -> None:
    """Raise a DataError where polars does not survive the file: some damaged ones make it abort."""
    command = [sys.executable, "-P", "-c", _DECODE, str(path)]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode < 0:
        raise DataError("the parquet file is damaged", where=name, remedy="Write it again, or fetch it again.")


def _read_separated(path: Path, name: str, on_bad: OnBad, separator: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    lines = _Lines(_parts(path, name, on_bad))
    records = csv.reader(lines, delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        try:
            fields = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            where = str(Origin(path=name, line=lines.opening_line()))
            text = lines.opening_text()
            lines.close_record(broken=True)
            if lines.in_circles():
                raise DataError(
                    "quotes are left open so often that no row's end is sure",
                    where=where,
                    remedy='Write the table anew with a CSV library, which puts text that holds quotes in quotes ("").',
                ) from None
            remedy = 'Put text that holds quotes or line breaks in double quotes, and write a quote inside it as "".'
            bad = DataError(f"the row that opens here is broken ({error})", where=where, remedy=remedy)
            bad.row_text = text
            on_bad(bad)
            continue
        origin = Origin(path=name, line=lines.opening_line())
        text = lines.text() if header is None or len(fields) != len(header) or len(fields) < 2 else ""
        lines.close_record(broken=False)
        if len(fields) < 2 and not text.strip():
            continue  # a blank line; "" in quotes is an empty text
        if header is None:
            header = _header([field.strip() for field in fields], str(origin))
        elif len(fields) != len(header):
            expected = f"{len(header)} ({listed(header)})"
            bad = DataError(f"the row has {len(fields)} fields", where=str(origin), expected=expected)
            bad.row_text = text
            on_bad(bad)
        else:
            yield Row(value=dict(zip(header, fields, strict=True)), origin=origin)


def _header(names: list[str], where: str) -> list[str]:
    """Return the names of a header.

    Raises:
        DataError: a column that has no name, or that of another; more columns than any table of text has.
    """
    if len(names) > MAX_COLUMNS:
        raise DataError(f"the table has {len(names):,} columns", where=where, expected=f"at most {MAX_COLUMNS:,}")
    wrong = sorted(name for name, count in Counter(names).items() if count > 1 or not name)
    if wrong:
        times = f'the header names the column "{wrong[0]}" {names.count(wrong[0])} times'
        what = times if wrong[0] else "a column has no name"
        raise DataError(what, where=where, expected="a first line with one name per column")
    return names


def _parts(path: Path, name: str, on_bad: OnBad) -> Iterator[tuple[int, str]]:
    """Yield numbered lines, parted at lone carriage returns too; a bad line before all others is refused."""
    started = False

    def bad(error: DataError) -> None:
        (on_bad if started else refuse)(error)

    breaks = 0  # lone carriage returns so far, which the file's line numbers do not count
    for number, text in read_lines(path, name, bad):
        started = True
        parts = _LINE.findall(text)
        yield from enumerate(parts, start=number + breaks)
        breaks += len(parts) - 1


class _Lines:
    """Numbered lines for the csv reader; those of the present record are kept, so that a broken one costs one line."""

    def __init__(self, numbered: Iterator[tuple[int, str]]) -> None:
        self._numbered = numbered
        self._again = deque[tuple[int, str]]()
        self._record: list[tuple[int, str]] = []
        self._record_chars = self._read_chars = self._reread_chars = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        number, text = self._again.popleft() if self._again else next(self._numbered)
        self._record.append((number, text))
        self._read_chars += len(text)
        self._record_chars += len(text)
        if self._record_chars > MAX_LINE_BYTES:
            raise csv.Error(f"it is longer than {MAX_LINE_BYTES >> 20} MiB")
        return text

    def opening_line(self) -> int:
        """Return the line that the present record opens on."""
        return self._record[0][0]

    def opening_text(self) -> str:
        """Return that line."""
        return self._record[0][1].rstrip("\r\n")

    def text(self) -> str:
        """Return the present record as it was read."""
        return "".join(text for _, text in self._record).rstrip("\r\n")

    def close_record(self, *, broken: bool) -> None:
        """Begin another record: after this one, or on its second line if it is broken."""
        if broken:
            self._again.extendleft(reversed(self._record[1:]))
            self._reread_chars += self._record_chars - len(self._record[0][1])
        self._record.clear()
        self._record_chars = 0

    def in_circles(self) -> bool:
        """Tell whether most of what is read was read before, after one broken row after another."""
        once = self._read_chars - self._reread_chars
        return self._reread_chars > _REREAD_CHARS + _REREAD_TIMES * once
