"""Rows into files: JSON lines, CSV, TSV or parquet by the name's ending, packed if it says so."""

import gzip
import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import msgspec
import polars as pl
import zstandard

from tunelab.cleaning.readers.batch import RECORD, json_of
from tunelab.errors import DataError, did_you_mean
from tunelab.sources.text_stream import unpacked_suffix

JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = {".csv": ",", ".tsv": "\t"}
OUT_SUFFIXES = (*JSON_SUFFIXES, *TABLE_SUFFIXES, ".parquet")
_OTHER_THAN_TEXT = r'"\s*:\s*[^"n\s]'
"""Found in every JSON text with a field that is neither text nor null, and in some others."""
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_PACKED = (".gz", ".zst", ".zstd")


def check_suffix(path: Path) -> None:
    """Raise a DataError for a name that no rows can be written to."""
    suffix = unpacked_suffix(path)
    if suffix not in OUT_SUFFIXES:
        raise DataError(
            f'the name ends in "{suffix}"', where=str(path), expected="a kind of file that can be written",
            remedy=did_you_mean(suffix, OUT_SUFFIXES),
        )  # fmt: skip
    if suffix == ".parquet" and path.suffix.lower() in _PACKED:
        remedy = "Leave the last ending out: parquet is packed already."
        raise DataError("a packed parquet file is not written", where=str(path), remedy=remedy)


def no_place_for_lists(field: str, name: str, *, is_json: bool) -> DataError:
    """Return the error of a field with lists or objects that goes into columns."""
    alone = " (lists go into .parquet out of .parquet alone)" if is_json else ""
    remedy = "Give the output a name that ends in .jsonl."
    what = f'the field "{field}" holds lists or objects'
    return DataError(what, where=name, expected=f"texts and numbers{alone}", remedy=remedy)


class RowWriter:
    """Writes rows to one file; if it never gets one, the file is there and empty (a header is not known).

    Args:
        fields: the order of the columns, for rows of JSON text that go into a table.
    """

    def __init__(self, path: Path, name: str, fields: Sequence[str] = ()) -> None:
        check_suffix(path)
        self._fields = fields
        self._path, self._name, self._suffix = path, name, unpacked_suffix(path)
        self._columns: list[str] | None = None
        self._parts: list[Path] = []
        self._open = ExitStack()
        file = self._open.enter_context(path.open("wb"))
        self._file: BinaryIO = file
        if path.suffix.lower() == ".gz":
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
            self._file = cast(BinaryIO, self._open.enter_context(packed))
        elif path.suffix.lower() in _PACKED:
            stream = zstandard.ZstdCompressor().stream_writer(file, closefd=False)
            self._file = cast(BinaryIO, self._open.enter_context(stream))

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._suffix == ".parquet" and self._parts:
            with self._open:
                self._join()
        for part in self._parts:
            part.unlink()
        self._open.close()

    def write(self, rows: pl.DataFrame) -> None:
        """Write rows: JSON text, or the columns of a table.

        Raises:
            DataError: the file is a table, and a row is none, or has other fields than the first.
        """
        if not rows.height:
            return
        if self._suffix in JSON_SUFFIXES:
            _write_lines(rows, self._file)
            return
        table = self._as_table(rows)
        if self._suffix == ".parquet":
            part = self._path.with_name(f"{self._path.name}.{len(self._parts)}.arrow")
            self._parts.append(part)
            table.write_ipc(part)
            self._columns = table.columns
            return
        buffer = io.BytesIO()
        is_first = self._file.tell() == 0 if self._columns is None else False
        null = '""' if table.width == 1 else None  # a line with nothing on it is no row
        table.write_csv(buffer, separator=TABLE_SUFFIXES[self._suffix], include_header=is_first, null_value=null)
        self._columns = table.columns
        self._file.write(buffer.getvalue())

    def _join(self) -> None:
        """Write the parts as one parquet file; whole numbers next to others become others."""
        parts = [pl.scan_ipc(part) for part in self._parts]
        kinds = [part.collect_schema() for part in parts]
        for name in kinds[0]:
            some = {kind[name] for kind in kinds} - {pl.Null()}
            if len(some) > 1 and not all(kind.is_numeric() for kind in some):
                what = f'the field "{name}" is of one kind in some rows and of another in others'
                expected, remedy = (
                    f"one of {', '.join(sorted(map(str, some)))}",
                    "A .jsonl file takes rows of any fields.",
                )
                raise DataError(what, where=self._name, expected=expected, remedy=remedy)
        pl.concat(parts, how="vertical_relaxed").sink_parquet(self._path, mkdir=False)

    def _as_table(self, rows: pl.DataFrame) -> pl.DataFrame:
        table = rows
        if RECORD in rows.columns:
            if self._suffix in TABLE_SUFFIXES and rows[RECORD].str.contains(_OTHER_THAN_TEXT).any():
                table = _cells(rows[RECORD], self._name)
            else:
                lines = io.BytesIO()
                _write_lines(rows, lines)
                table = pl.read_ndjson(lines.getvalue(), infer_schema_length=None)
        nested = [name for name, kind in table.schema.items() if kind.is_nested()]
        if (nested and self._suffix != ".parquet") or (nested and RECORD in rows.columns):
            raise no_place_for_lists(nested[0], self._name, is_json=RECORD in rows.columns)
        if RECORD in rows.columns:
            known = self._columns or [name for name in self._fields if name in table.columns]
            lacking = [pl.lit(None).alias(name) for name in known if name not in table.columns]
            table = table.with_columns(lacking).select(*known, pl.exclude(known))
        if self._columns is not None and set(table.columns) != set(self._columns):
            what = f"the fields {', '.join(table.columns)} differ from those of earlier rows"
            expected = ", ".join(self._columns)
            raise DataError(what, where=self._name, expected=expected, remedy="A .jsonl file takes rows of any fields.")
        return table.select(self._columns or table.columns)


def _cells(records: pl.Series, name: str) -> pl.DataFrame:
    """Return JSON text as columns of text: numbers as they were written, null as an empty cell."""
    rows = [_FIELDS.decode(record) for record in records]
    fields = dict.fromkeys(field for row in rows for field in row)
    cells: dict[str, list[str | None]] = {field: [] for field in fields}
    for row in rows:
        for field in fields:
            value = bytes(row.get(field, b"null"))
            if value[:1] in b"[{":
                raise no_place_for_lists(field, name, is_json=True)
            cells[field].append(
                None if value == b"null" else value.decode() if value[:1] != b'"' else _TEXT.decode(value)
            )
    return pl.DataFrame(cells, schema=dict.fromkeys(fields, pl.String))


def _write_lines(rows: pl.DataFrame, file: BinaryIO) -> None:
    texts = rows[RECORD] if RECORD in rows.columns else json_of(rows)
    pl.DataFrame({"": texts}).write_csv(file, include_header=False, quote_style="never")


class RejectedWriter:
    """Writes rejected rows: one object a line, {where, reason, rule, detail, row}."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def __enter__(self) -> "RejectedWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, refused: pl.DataFrame, rows: pl.Series) -> None:
        """Write refused rows.

        Args:
            refused: `where`, `reason`, `rule`, `detail`.
            rows: the JSON text of each; null is written as null.
        """
        if not refused.height:
            return
        head = pl.struct("where", "reason", "rule", "detail").struct.json_encode().str.head(-1) + ',"row"'
        lines = refused.select(head=head, row=rows)
        lines.write_csv(
            self._file,
            include_header=False,
            quote_style="never",
            separator=":",
            line_terminator="}\n",
            null_value="null",
        )
