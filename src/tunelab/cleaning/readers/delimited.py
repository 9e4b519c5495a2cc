"""CSV and TSV as batches of columns.

A fast parser reads pieces of the file. If the layout of a piece leaves a doubt, or the table holds other records or
other bytes of text than the layout says, the parsers may differ, and `sources` reads the file instead.
"""

from collections.abc import Callable, Iterator

import polars as pl

from tunelab.cleaning.readers.chunks import TABLE_BYTES, read_pieces
from tunelab.cleaning.readers.delimited_quoting import Layout, Marks, find_marks, lay_out
from tunelab.cleaning.readers.prefetch import in_parallel
from tunelab.cleaning.readers.table_batch import TableBatch
from tunelab.sources import SourceFile
from tunelab.sources.table_layout import layout_of
from tunelab.sources.table_rows import column_names
from tunelab.sources.text_stream import read_head, unpacked_suffix

_LONGEST_RECORD = 2 * TABLE_BYTES


def separated_batches(
    file: SourceFile, number: int, is_conversation: bool, restart: Callable[[], Exception]
) -> Iterator[TableBatch]:
    """Yield the rows of a CSV or TSV file; what `restart` makes is raised if `sources` should read it.

    Raises:
        DataError: the header names a column twice, or not at all.
    """
    assert file.path is not None
    head = read_head(file.path, file.name)
    plain = layout_of(head, separator="\t" if unpacked_suffix(file.path) == ".tsv" else "")
    if plain.has_separator_line or plain.has_blanks_before_quotes:
        raise restart()
    names: list[str] = []
    line = 1
    for (text, _), parsed in in_parallel(_records(file, restart), lambda record: _parsed(*record, plain.separator)):
        if parsed is None:
            raise restart()
        table, layout = parsed
        lines = pl.Series("line", layout.breaks_before_R + line, dtype=pl.UInt64)
        line += layout.num_breaks
        if not names:
            names = column_names(table.row(0))
            if len(set(names)) < len(names) or "" in names:
                raise restart()  # `sources` has the words for it
            table, lines = table[1:], lines[1:]
        if table.width != len(names) or (table.to_series() == names[0]).any():  # perhaps the header again
            raise restart()
        yield TableBatch(
            file=number,
            lines=lines,
            num_bytes=len(text),
            columns=table.rename(dict(zip(table.columns, names, strict=True))),
            text_columns=tuple(names),
            empty_is_null=True,
            is_conversation=is_conversation,
        )


def _records(file: SourceFile, restart: Callable[[], Exception]) -> Iterator[tuple[bytes, Marks]]:
    """Yield texts that end where a record ends, with their marks."""
    rest = b""
    for piece in read_pieces(file, TABLE_BYTES):
        if piece.fault or len(rest) > _LONGEST_RECORD:
            raise restart()
        text = rest + piece.text
        marks = find_marks(text)
        end = len(text) if marks.is_closed else marks.end_of_records()
        rest = text[end:]
        if end:
            yield text[:end], marks.before(end)
    if rest:
        raise restart()


def _parsed(text: bytes, marks: Marks, separator: str) -> tuple[pl.DataFrame, Layout] | None:
    """Return the records of a text; None if parsers might differ."""
    layout = lay_out(text, marks, separator)
    if layout is None:
        return None
    try:
        table = pl.read_csv(
            text if text.endswith(b"\n") else text + b"\n",  # else a separator at the end is passed over
            has_header=False,
            separator=separator,
            infer_schema=False,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:
        return None
    if table.width < 2 or not _is_as_laid_out(table, layout):
        return None
    return (
        table.with_columns(pl.all().str.replace_all("\r\n", "\n", literal=True)) if layout.has_returns_inside else table
    ), layout


def _is_as_laid_out(table: pl.DataFrame, layout: Layout) -> bool:
    """Tell whether a table has a row for each record, and all bytes of text.

    The parser refuses records of more texts than the first and fills up those of fewer, which lack separators.
    """
    num_bytes = table.select(pl.all().str.len_bytes().sum()).sum_horizontal()[0]
    num_separators = table.height * (table.width - 1)
    return table.height == len(layout.breaks_before_R) and num_bytes + num_separators == layout.num_bytes
