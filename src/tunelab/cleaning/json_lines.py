"""JSON lines as batches: columns where every row has the same text fields, objects elsewhere."""

import io
import json
import re
from collections.abc import Callable, Iterator

import msgspec
import polars as pl

from tunelab.cleaning.batch import Unreadable
from tunelab.cleaning.object_batch import ObjectBatch
from tunelab.cleaning.pieces import OBJECT_BYTES, TABLE_BYTES, Piece, read_pieces
from tunelab.cleaning.table_batch import TableBatch
from tunelab.errors import DataError
from tunelab.sources import Origin, SourceFile, kind_of, parse_json
from tunelab.sources.opening import PROBABLY_LATIN

_DECODER = msgspec.json.Decoder()
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def object_batches(file: SourceFile, number: int, columns: tuple[str, ...]) -> Iterator[ObjectBatch]:
    """Yield rows of any shape."""
    for piece in read_pieces(file, OBJECT_BYTES):
        lines, records, objects, unreadable = _decoded(piece, file.name)
        yield ObjectBatch(
            file=number,
            lines=pl.Series("line", lines, dtype=pl.UInt64),
            unreadable=(*piece.refused, *unreadable),
            num_bytes=len(piece.text),
            objects=objects,
            records=records,
            columns=columns,
        )


def table_batches(
    file: SourceFile, number: int, columns: tuple[str, ...], restart: Callable[[], Exception]
) -> Iterator[TableBatch]:
    """Yield rows whose fields are `columns`, each text or null. A row of another shape raises what `restart` makes."""
    schema = pl.Schema({name: pl.String() for name in columns})
    for piece in read_pieces(file, TABLE_BYTES):
        unreadable: tuple[Unreadable, ...] = ()
        try:
            records, lines, table = _parsed(piece, schema)
            odd = _doubtful(records, table)
        except pl.exceptions.PolarsError:
            records, lines, unreadable = _readable(piece, file.name)
            table = _columns(records, schema)
            odd = _doubtful(records, table)
        if len(odd):
            bad = {}
            for row in odd:
                value = _strict(records[row], Origin(path=file.name, line=lines[row]))
                if isinstance(value, Unreadable):
                    bad[row] = value
                elif value.keys() != set(columns) or not all(isinstance(each, str | None) for each in value.values()):
                    raise restart()
            if bad:
                keep = ~pl.int_range(len(records), eager=True).is_in(list(bad))
                records, lines, table = records.filter(keep), lines.filter(keep), table.filter(keep)
                unreadable = (*unreadable, *bad.values())
        yield TableBatch(
            file=number,
            lines=lines,
            unreadable=(*piece.refused, *unreadable),
            num_bytes=len(piece.text),
            columns=table,
            text_columns=columns,
            records=records,
        )


def _parsed(piece: Piece, schema: pl.Schema) -> tuple[pl.Series, pl.Series, pl.DataFrame]:
    records = pl.scan_lines(io.BytesIO(piece.text)).collect().to_series() if piece.text else pl.Series(dtype=pl.String)
    lines = pl.int_range(piece.line, piece.line + len(records), dtype=pl.UInt64, eager=True)
    table = pl.read_ndjson(io.BytesIO(piece.text), schema=schema) if piece.text else pl.DataFrame(schema=schema)
    if table.height != len(records):
        filled = records.str.strip_chars().str.len_bytes() > 0
        records, lines = records.filter(filled), lines.filter(filled)
        if table.height != len(records):
            raise pl.exceptions.ComputeError("not a row a line")
    return records, lines, table


def _doubtful(records: pl.Series, table: pl.DataFrame) -> pl.Series:
    """Return the numbers of rows that may not be objects of exactly these fields, each once, each text or null.

    The parser behind this takes the last of two fields of one name, numbers for text, half a character for NUL, and a
    field that is missing for null. A name and its quotes cannot stand so in a text, where quotes are escaped.
    """
    odd = (records.str.count_matches(r'": ?(?:"|null)') != table.width) | records.str.contains(_HALF_CHARACTER.pattern)
    found = [odd.arg_true()]
    for name in table.columns:
        rows = table[name].is_null().arg_true()
        found.append(rows.filter(~records.gather(rows).str.contains(f"{json.dumps(name)}:", literal=True)))
    return pl.concat(found).unique().sort()


def _columns(records: pl.Series, schema: pl.Schema) -> pl.DataFrame:
    if not len(records):
        return pl.DataFrame(schema=schema)
    return pl.read_ndjson(io.BytesIO("\n".join(records).encode()), schema=schema)


def _readable(piece: Piece, name: str) -> tuple[pl.Series, pl.Series, tuple[Unreadable, ...]]:
    lines, records, _, unreadable = _decoded(piece, name)
    return pl.Series(records, dtype=pl.String), pl.Series("line", lines, dtype=pl.UInt64), unreadable


def _decoded(piece: Piece, name: str) -> tuple[list[int], list[str], list[object], tuple[Unreadable, ...]]:
    """Return lines, texts and values of the rows of a piece, and what is none."""
    records, bad = _records(piece)
    values = _values(piece, records)
    has_halves = b"\\u" in piece.text and _HALF_CHARACTER.search(piece.text.decode(errors="replace")) is not None
    lines = list(range(piece.line, piece.line + len(records)))
    gone = set(bad)
    for row, (value, record) in enumerate(zip(values, records, strict=True)):
        if type(value) is dict and record.count('":') == _keys_in(value) and not has_halves:
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


def _records(piece: Piece) -> tuple[list[str], dict[int, Unreadable]]:
    """Return the lines as text; where one is not UTF-8, it is empty and told of, by its place."""
    bad: dict[int, Unreadable] = {}
    if not piece.text:
        return [], bad
    try:
        text = piece.text.decode()
        text = text.replace("\r\n", "\n") if "\r" in text else text
        return text.removesuffix("\n").split("\n"), bad
    except UnicodeDecodeError:
        records = []
    for row, raw in enumerate(piece.text.removesuffix(b"\n").split(b"\n")):
        try:
            records.append(raw.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            fault = f"byte {error.start + 1} of the line is not UTF-8; expected UTF-8 text. {PROBABLY_LATIN}"
            bad[row] = Unreadable(line=piece.line + row, fault=fault, text=raw.decode(errors="replace"))
            records.append("")
    return records, bad


def _values(piece: Piece, records: list[str]) -> list[object]:
    """Return what the fast parser makes of each line; None where it makes nothing of it."""
    try:
        values: list[object] = _DECODER.decode_lines(piece.text)
        if len(values) == len(records):
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
    """Return how many named fields stand in a value, at any depth."""
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
