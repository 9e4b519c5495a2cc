"""JSON lines as batches: columns if every row has the same text fields, else objects."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import polars as pl

from tunelab.cleaning.readers.batch import Unreadable
from tunelab.cleaning.readers.chunks import OBJECT_BYTES, TABLE_BYTES, Piece, read_pieces
from tunelab.cleaning.readers.object_batch import ObjectBatch
from tunelab.cleaning.readers.prefetch import in_parallel
from tunelab.cleaning.readers.table_batch import TableBatch
from tunelab.errors import DataError
from tunelab.sources import Origin, SourceFile, kind_of, parse_json
from tunelab.sources.encoding import encoding_remedy
from tunelab.sources.text_stream import BYTE_ORDER_MARK

_DECODER = msgspec.json.Decoder()
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK_AND_COLON = re.compile(r'"[ \t\r]+:')
_COLON_OR_HALF = r'":|[ \t\r]:|' + _HALF_CHARACTER.pattern
_WHOLE_CHARACTER = r"u(?:[0-9abcefABCEF]|[dD](?:[0-7]|[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]))"
_COMMA = r",[ \t]?"
_SAMPLE_BYTES = 2**14
"""On each side of the first byte that is not UTF-8: what an encoding is judged by."""
_TEXT_OR_NULL = rf'(?:null|"[^"\\]*(?:\\(?:["\\/bfnrt]|{_WHOLE_CHARACTER})[^"\\]*)*")'


def object_batches(file: SourceFile, number: int, columns: tuple[str, ...]) -> Iterator[ObjectBatch]:
    """Yield rows of any shape."""
    line = 1
    for piece in read_pieces(file, OBJECT_BYTES):
        lines, records, objects, unreadable = _decoded(piece, line, file.name)
        yield ObjectBatch(
            file=number,
            lines=pl.Series("line", lines, dtype=pl.UInt64),
            unreadable=(*_refused(piece, line), *unreadable),
            num_bytes=len(piece.text),
            objects=objects,
            records=records,
            columns=columns,
        )
        line += _num_lines(piece)


def table_batches(
    file: SourceFile, number: int, columns: tuple[str, ...], restart: Callable[[], Exception]
) -> Iterator[TableBatch]:
    """Yield rows whose fields are `columns`, each text or null. A row of another shape raises what `restart` makes.

    A piece is read by the fast parser, or as objects are read if one of its rows leaves a doubt.
    """
    schema = pl.Schema({name: pl.String() for name in columns})
    line = 1
    for piece, parsed in in_parallel(read_pieces(file, TABLE_BYTES), lambda piece: _parsed(piece, schema)):
        if parsed is None:
            numbers, texts, values, unreadable = _decoded(piece, line, file.name)
            if not all(_is_of(columns, value) for value in values):
                raise restart()
            records, table = pl.Series(texts, dtype=pl.String), pl.DataFrame(values, schema=schema)
            lines, num_lines = pl.Series("line", numbers, dtype=pl.UInt64), _num_lines(piece)
        else:
            records, table, unreadable = parsed.records, parsed.table, ()
            lines, num_lines = parsed.lines + line, parsed.num_lines
        yield TableBatch(
            file=number,
            lines=lines,
            unreadable=(*_refused(piece, line), *unreadable),
            num_bytes=len(piece.text),
            columns=table,
            text_columns=columns,
            records=records,
        )
        line += num_lines


def _is_of(columns: tuple[str, ...], value: object) -> bool:
    """Tell whether a row has exactly these fields, each text or null."""
    return (
        isinstance(value, dict)
        and value.keys() == set(columns)
        and all(isinstance(each, str | None) for each in value.values())
    )


def _refused(piece: Piece, line: int) -> tuple[Unreadable, ...]:
    return (Unreadable(line=line, fault=piece.fault),) if piece.fault else ()


def _num_lines(piece: Piece) -> int:
    return 1 if piece.fault else piece.text.count(b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """The rows of a piece, as the fast parser sees them."""

    records: pl.Series
    """Their texts."""
    lines: pl.Series
    """Their lines; the first one of the piece is 0."""
    table: pl.DataFrame
    num_lines: int
    """Blank ones too."""


def _parsed(piece: Piece, schema: pl.Schema) -> _Parsed | None:
    """Return the rows of a piece; None if one of them is not certainly what the fast parser takes it for."""
    if not piece.text:
        return None
    try:
        records = pl.scan_lines(io.BytesIO(piece.text)).collect().to_series()
        table = pl.read_ndjson(io.BytesIO(piece.text), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    num_lines = len(records)
    lines = pl.int_range(num_lines, dtype=pl.UInt64, eager=True)
    if table.height != num_lines:
        filled = records.str.strip_chars().str.len_bytes() > 0
        records, lines = records.filter(filled), lines.filter(filled)
        if table.height != len(records):
            return None
    if _is_doubtful(records, table):
        return None
    return _Parsed(records=records, lines=lines, table=table, num_lines=num_lines)


def _is_doubtful(records: pl.Series, table: pl.DataFrame) -> bool:
    """Tell whether any row may not be an object of exactly these fields, each once, each text or null.

    The fast parser takes the first of two fields of one name, numbers and lists for text, half a character for
    NUL, and a field that is missing for null; it passes over other fields.

    A row whose fields are all there, as texts, has a name for each; where it has no more colons after a quote or a
    blank than that, there is no other name, at any depth. What fails this is compared with the whole pattern of a row.
    """
    is_odd = records.str.count_matches(_COLON_OR_HALF) != table.width
    if table.width:
        is_odd |= table.select(pl.any_horizontal(map(_may_be_no_text, table.columns))).to_series()
    return not records.filter(is_odd).str.contains(_pattern_of(table.columns)).all()


def _may_be_no_text(name: str) -> pl.Expr:
    """Tell where a column holds null, or what a number, a truth value, a list or an object is made into."""
    text = pl.col(name)
    begins = [(text >= first) & (text < end) for first, end in (("-", ":"), ("[", "\\"), ("{", "|"))]
    return text.is_null() | pl.any_horizontal(*begins, text == "true", text == "false")


def _pattern_of(names: list[str]) -> str:
    """Return a pattern of objects with texts or nulls under these names, in this order."""
    fields = []
    for name in names:
        spellings = dict.fromkeys(json.dumps(name, ensure_ascii=is_ascii) for is_ascii in (True, False))
        fields.append(f"(?:{'|'.join(map(re.escape, spellings))}):[ \\t]?{_TEXT_OR_NULL}")
    return rf"^[ \t]*\{{{_COMMA.join(fields)}\}}[ \t\r]*$"


def _decoded(piece: Piece, line: int, name: str) -> tuple[list[int], list[str], list[object], tuple[Unreadable, ...]]:
    """Return lines, texts and values of the rows of a piece that begins at a line, and what is none."""
    records, bad = _records(piece, line)
    values = _values(piece, records)
    has_halves = b"\\u" in piece.text and _HALF_CHARACTER.search(piece.text.decode(errors="replace")) is not None
    has_blanks = any(mark in piece.text for mark in (b" :", b"\t:", b"\r:"))
    lines = list(range(line, line + len(records)))
    gone = set(bad)
    for row, (value, record) in enumerate(zip(values, records, strict=True)):
        is_plain = not has_halves and not (has_blanks and _BLANK_AND_COLON.search(record))
        if is_plain and type(value) is dict and record.count('":') == _keys_in(value):
            continue
        if row in bad or not record.strip():
            gone.add(row)
            continue
        found = _strict(record, Origin(path=name, line=lines[row]))
        if isinstance(found, Unreadable):
            bad[row] = found
            gone.add(row)
        else:
            values[row] = found
    if gone:
        lines = [line for row, line in enumerate(lines) if row not in gone]
        records = [record for row, record in enumerate(records) if row not in gone]
        values = [value for row, value in enumerate(values) if row not in gone]
    return lines, records, values, tuple(bad[row] for row in sorted(bad))


def _records(piece: Piece, line: int) -> tuple[list[str], dict[int, Unreadable]]:
    """Return the lines as text; one that is not UTF-8 is empty, and reported by its place."""
    bad: dict[int, Unreadable] = {}
    if not piece.text:
        return [], bad
    try:
        text = piece.text.decode()
        text = text.replace("\r\n", "\n") if "\r" in text else text
        if BYTE_ORDER_MARK in text:
            text = text.replace(f"\n{BYTE_ORDER_MARK}", "\n").removeprefix(BYTE_ORDER_MARK)
        return text.removesuffix("\n").split("\n"), bad
    except UnicodeDecodeError as error:
        records = []
        remedy = encoding_remedy(piece.text[max(error.start - _SAMPLE_BYTES, 0) : error.start + _SAMPLE_BYTES])
    for row, raw in enumerate(piece.text.removesuffix(b"\n").split(b"\n")):
        try:
            records.append(raw.removesuffix(b"\r").decode().removeprefix(BYTE_ORDER_MARK))
        except UnicodeDecodeError as error:
            fault = f"byte {error.start + 1} of the line is not UTF-8; expected UTF-8 text. {remedy}"
            bad[row] = Unreadable(line=line + row, fault=fault, text=raw.decode(errors="replace"))
            records.append("")
    return records, bad


def _values(piece: Piece, records: list[str]) -> list[object]:
    """Return what the fast parser makes of each line; None if it makes nothing of it."""
    try:
        values: list[object] = _DECODER.decode_lines(piece.text)
        # It takes two values of one line, or one of two lines: only from brace to brace is a line surely one object.
        if len(values) == len(records) and all(record[:1] == "{" and record[-1:] == "}" for record in records):
            return values
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        pass
    return [_value(record) for record in records]


def _value(record: str) -> object:
    try:
        return _DECODER.decode(record)
    except (UnicodeEncodeError, msgspec.DecodeError, RecursionError):
        return None


def _strict(record: str, origin: Origin) -> dict[str, object] | Unreadable:
    try:
        value = parse_json(record, origin)
        if isinstance(value, dict):
            return value
        fault = f"the row is {kind_of(value)}; expected an object {{…}} with named fields"
    except DataError as error:
        fault = f"{error.what}; expected {error.expected}"
    return Unreadable(line=origin.line, fault=fault, text=record)


def _keys_in(value: object) -> int:
    """Return how many named fields a value holds, at any depth."""
    count, open_values = 0, [value]
    while open_values:
        inside = open_values.pop()
        if type(inside) is dict:
            count += len(inside)
            inside = inside.values()
        for each in inside:  # type: ignore[attr-defined]
            kind = type(each)
            if kind is dict or kind is list:
                open_values.append(each)
    return count
