"""How a table of text is written, judged by its first lines: what separates its fields, and what precedes quotes."""

import csv
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n])"?[ \t]*(?:\r\n?|\n)', re.IGNORECASE)
_BLANKS_AND_QUOTE = re.compile(r'[,;\t|] +"')
_PROBED_RECORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """How a table is written."""

    separator: str
    has_separator_line: bool = False
    """Whether the first line is ``sep=;``, which Excel writes for itself."""
    has_blanks_before_quotes: bool = False
    """Whether quoted texts follow separator and blanks, as in ``a, "b, c"``; leading blanks are then no text."""


def layout_of(head: str, *, separator: str = "") -> TableLayout:
    """Return the layout of a table that begins with `head`.

    Of comma, semicolon, tab and bar, the one that the header has most of separates, unless a line or the caller names
    one.
    """
    named = _SEPARATOR_LINE.match(head)
    body = head[named.end() :] if named else head
    header = body.lstrip("\r\n").partition("\n")[0]
    found = named["separator"] if named else separator or max(",;\t|", key=header.count)
    return TableLayout(
        separator=found, has_separator_line=bool(named), has_blanks_before_quotes=_has_blanks_before_quotes(body, found)
    )


def _has_blanks_before_quotes(body: str, separator: str) -> bool:
    """Tell whether some cell is blanks and a quoted text, and no fewer records fit the header without the blanks."""
    if not _BLANKS_AND_QUOTE.search(body):
        return False
    exact, skipping = (_records(body, separator, skips=skips) for skips in (False, True))
    is_quoted = any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for record in exact for cell in record)
    return is_quoted and _num_fitting(skipping) >= _num_fitting(exact)


def _records(body: str, separator: str, *, skips: bool) -> list[list[str]]:
    """Return the first records, as far as they can be read."""
    records: list[list[str]] = []
    reader = csv.reader(body.splitlines(keepends=True), delimiter=separator, skipinitialspace=skips, strict=True)
    with suppress(csv.Error):
        records.extend(islice(reader, _PROBED_RECORDS))
    return records


def _num_fitting(records: list[list[str]]) -> int:
    return sum(len(record) == len(records[0]) for record in records)
