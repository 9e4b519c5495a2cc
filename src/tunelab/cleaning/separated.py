"""CSV and TSV as batches of columns.

A fast parser reads pieces of the file; then every byte of a piece is accounted for, as text, as quote, as separator or
as line end. Where the sum is off, the parsers may differ, and `sources` reads the file instead.
"""

import re
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from tunelab.cleaning.batches import TableBatch
from tunelab.cleaning.pieces import TABLE_BYTES, Piece, read_pieces
from tunelab.sources import SourceFile
from tunelab.sources.opening import read_head, unpacked_suffix
from tunelab.sources.table_rows import separator_of

_QUOTE = b'"'


def separated_batches(
    file: SourceFile, number: int, is_conversation: bool, restart: Callable[[], Exception]
) -> Iterator[TableBatch]:
    """Yield the rows of a CSV or TSV file; what `restart` makes is raised where `sources` should read it.

    Raises:
        DataError: the header names a column twice, or not at all.
    """
    assert file.path is not None
    separator = "\t" if unpacked_suffix(file.path) == ".tsv" else separator_of(read_head(file.path, file.name))
    names: list[str] = []
    for piece in _records(file):
        if piece.refused or _has_lone_returns(piece.text):
            raise restart()
        try:
            table = pl.read_csv(
                piece.text, has_header=False, separator=separator, infer_schema=False, empty_string_is_null=False
            )
        except pl.exceptions.PolarsError:
            raise restart() from None
        if (
            table.width < 2
            or not _all_accounted_for(table, piece.text)
            or not _is_even(piece.text, separator, table.width)
        ):
            raise restart()
        lines = _lines(table, piece)
        if not names:
            names = [name.strip() for name in table.row(0)]
            if len(set(names)) < len(names) or "" in names:
                raise restart()  # `sources` has the words for it
            table, lines = table[1:], lines[1:]
        if table.width != len(names):
            raise restart()
        yield TableBatch(
            file=number,
            lines=lines,
            num_bytes=len(piece.text),
            columns=table.rename(dict(zip(table.columns, names, strict=True))),
            text_columns=tuple(names),
            empty_is_null=True,
            is_conversation=is_conversation,
        )


def _records(file: SourceFile) -> Iterator[Piece]:
    """Yield pieces that end where a record ends: where the quotes before are even in number."""
    rest, line = b"", 1
    for piece in read_pieces(file, TABLE_BYTES):
        text = rest + piece.text if rest else piece.text
        num_quotes = text.count(_QUOTE)
        end = _end_of_records(text, num_quotes)
        rest = text[end:]
        if end:
            breaks = text.count(b"\n", 0, end) if rest or end > len(piece.text) else piece.num_breaks
            yield Piece(text=text[:end], line=line, num_breaks=breaks, refused=piece.refused)
            line += breaks
    if rest.strip():
        yield Piece(text=rest, line=line, num_breaks=rest.count(b"\n"))


def _has_lone_returns(text: bytes) -> bool:
    """Tell whether a carriage return stands without a line feed: `sources` counts it as the end of a line."""
    return b"\r" in text and text.count(b"\r") != text.count(b"\r\n")


def _end_of_records(text: bytes, num_quotes: int) -> int:
    """Return where the last whole record ends: behind a line break with an even number of quotes before it."""
    end, is_inside = len(text), num_quotes % 2 == 1
    while is_inside:
        before = text.rfind(b"\n", 0, text.rfind(_QUOTE, 0, end)) + 1
        if not before:
            return 0
        is_inside = text.count(_QUOTE, before, end) % 2 == 0
        end = before
    return end


def _is_even(text: bytes, separator: str, width: int) -> bool:
    """Tell whether every record has as many separators, and quotes stand around whole texts or doubled inside them.

    A separator too few in one record and one too many in another make the right sum, and the parser says nothing.
    """
    if _QUOTE in text:
        sign = re.escape(separator.encode())
        quoted = rb"(?:(?<=[\n" + sign + rb'])|\A)"[^"]*+(?:""[^"]*+)*+"(?=[\r\n' + sign + rb"]|\Z)"
        text = re.sub(quoted, b"", text)
        if _QUOTE in text:
            return False
    if not text.endswith(b"\n"):
        text += b"\n"
    signs = np.frombuffer(text, dtype=np.uint8)
    before = np.searchsorted(np.flatnonzero(signs == ord(separator)), np.flatnonzero(signs == ord("\n")))
    return bool((np.diff(before, prepend=0) == width - 1).all())


def _all_accounted_for(table: pl.DataFrame, text: bytes) -> bool:
    """Tell whether texts, separators, line ends of one kind and quotes around texts make up all bytes."""
    num_quotes, num_returns = text.count(_QUOTE), text.count(b"\r")
    num_breaks = table.height - (not text.endswith(b"\n"))
    ends = num_returns - (_count(table, "\r") if num_returns else 0)
    quotes = num_quotes - (_count(table, '"') if num_quotes else 0)
    texts = table.select(pl.all().str.len_bytes().sum()).sum_horizontal()[0]
    marks = table.height * (table.width - 1) + num_breaks + ends + quotes
    return ends in (0, num_breaks) and bool(texts + marks == len(text))


def _count(table: pl.DataFrame, sign: str) -> int:
    return int(table.select(pl.all().str.count_matches(sign, literal=True).sum()).sum_horizontal()[0])


def _lines(table: pl.DataFrame, piece: Piece) -> pl.Series:
    """Return the line on which each record opens; breaks inside texts count."""
    lines = pl.int_range(piece.line, piece.line + table.height, dtype=pl.UInt64, eager=True)
    if piece.num_breaks <= table.height:
        return lines
    inside = table.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))).to_series()
    return lines + inside.cum_sum().shift(1, fill_value=0).cast(pl.UInt64)
