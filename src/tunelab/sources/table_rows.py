"""Rows of text tables: CSV and TSV. The columns of the header name the fields."""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from tunelab.errors import DataError, listed
from tunelab.sources.row import Origin, Row
from tunelab.sources.table_layout import TableLayout, layout_of
from tunelab.sources.text_stream import MAX_LINE_BYTES, OnBad, read_head, read_lines, refuse

MAX_COLUMNS = 10_000
INDEX_COLUMN = "Unnamed: 0"
"""What pandas calls the column of row numbers that it writes first, without a name."""
_REREAD_TIMES = 4
_REREAD_CHARS = 2**20
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def read_csv(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a CSV file. A line break inside a cell is read as ``\\n``, whatever ends its lines."""
    return _read_separated(path, name, on_bad, layout_of(read_head(path, name)))


def read_tsv(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a table separated by tabs."""
    return _read_separated(path, name, on_bad, layout_of(read_head(path, name), separator="\t"))


def _read_separated(path: Path, name: str, on_bad: OnBad, layout: TableLayout) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    numbered = _parts(path, name, on_bad)
    lines = _Lines(islice(numbered, int(layout.has_separator_line), None))
    records = csv.reader(
        lines, delimiter=layout.separator, skipinitialspace=layout.has_blanks_before_quotes, strict=True
    )
    header: list[str] | None = None
    width = 0  # of the rows, with columns at the end that have no name
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
        if lines.has_several():
            fields = [field.replace("\r\n", "\n") for field in fields]
        lines.close_record(broken=False)
        if len(fields) < 2 and not text.strip():
            continue  # a blank line; "" in quotes is an empty text
        if header is None:
            width = len(fields)
            header = _header(without_nameless_end(column_names(fields)), str(origin))
        elif len(fields) != width:
            expected = f"{width} ({listed(header)}{' and nameless ones' if width > len(header) else ''})"
            bad = DataError(f"the row has {len(fields)} fields", where=str(origin), expected=expected)
            bad.row_text = text
            on_bad(bad)
        elif fields[0] == header[0] and fields[: len(header)] == header:
            remedy = "Two files were joined here: take this line out."
            bad = DataError("the row is the header again", where=str(origin), expected="a row", remedy=remedy)
            bad.row_text = layout.separator.join(fields)
            on_bad(bad)
        elif stray := next((number for number in range(len(header), width) if fields[number].strip()), 0):
            what = f"the cell in column {stray + 1} holds text, and the header does not name that column"
            remedy = f"Name column {stray + 1} in the first line, or empty the cell."
            bad = DataError(what, where=str(origin), remedy=remedy)
            bad.row_text = layout.separator.join(fields)
            on_bad(bad)
        else:
            yield Row(value=dict(zip(header, fields[: len(header)], strict=True)), origin=origin)


def column_names(cells: Sequence[str]) -> list[str]:
    """Return the names in a header. A first column without one is an index that pandas wrote, and gets pandas' name."""
    names = [cell.strip() for cell in cells]
    return [INDEX_COLUMN, *names[1:]] if names and not names[0] and len(names) > 1 else names


def without_nameless_end(names: list[str]) -> list[str]:
    """Return the names of a header without those of the empty columns that Excel writes at the end."""
    named = [number for number, name in enumerate(names) if name and name != INDEX_COLUMN]
    return names[: named[-1] + 1] if named else names


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
        what = times if wrong[0] else f"column {names.index('') + 1} of {len(names)} has no name"
        remedy = "" if wrong[0] else "Name it in the first line, or delete the column."
        raise DataError(what, where=where, expected="a first line with one name per column", remedy=remedy)
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

    def has_several(self) -> bool:
        """Tell whether the present record has more than one line."""
        return len(self._record) > 1

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
