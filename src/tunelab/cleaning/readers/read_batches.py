"""Files as batches of rows: packed text in large pieces, each read by a fast parser and judged by the strict one.

What the fast parser takes is what `sources` would take: rows that it might see otherwise are read again by `sources`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

import polars as pl

from tunelab.cleaning.readers.batch import Batch, Unreadable
from tunelab.cleaning.readers.delimited import separated_batches
from tunelab.cleaning.readers.jsonl import object_batches, table_batches
from tunelab.cleaning.readers.object_batch import ObjectBatch
from tunelab.cleaning.readers.table_batch import TableBatch
from tunelab.errors import DataError
from tunelab.sources import Row, SourceFile, read_rows
from tunelab.sources.column_rows import COLUMN_SUFFIXES, column_frames
from tunelab.sources.json_rows import holds_json_lines
from tunelab.sources.text_stream import read_head, unpacked_suffix

SHAPE_ROWS = 1000
"""Rows by which a file's shape is judged."""
_ROWS_AT_ONCE = 4096
_TABLES = (".csv", ".tsv", *COLUMN_SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """How the rows of some files are read."""

    columns: tuple[str, ...] = ()
    """The fields of a table's rows; none for conversations."""
    is_conversation: bool = False
    text_columns: tuple[str, ...] = ()
    """Those of them that hold text or null in every row of the sample; none if rows are objects of any shape."""
    slow: frozenset[str] = frozenset()
    """Names of files that the fast parsers read otherwise than `sources` would."""


class OtherPlanError(Exception):
    """A later row of a file requires another plan of reading, from the start."""

    def __init__(self, read_plan: ReadPlan) -> None:
        super().__init__("the files have to be read again by another plan")
        self.read_plan = read_plan


def first_rows(files: Iterable[SourceFile]) -> list[Row]:
    """Return up to a thousand readable rows of the first file."""
    return list(islice(read_rows(islice(files, 1), on_bad=lambda error: None), SHAPE_ROWS))


def find_read_plan(rows: Iterable[Row], *, is_conversation: bool) -> ReadPlan:
    """Return how files that begin with `rows` are read."""
    values = [row.value for row in rows if isinstance(row.value, dict)]
    columns = field_order(values)
    texts = tuple(key for key in columns if all(isinstance(value.get(key), str | None) for value in values))
    same = all(tuple(value) == columns for value in values)
    if is_conversation:
        return ReadPlan(is_conversation=True)
    return ReadPlan(columns=columns, text_columns=texts if same and texts == columns else ())


def field_order(values: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return all fields of some rows: in the order of most rows, then by where they first appear."""
    orders = Counter(map(tuple, values))
    most = max(orders, key=orders.__getitem__, default=())
    return tuple(dict.fromkeys((*most, *(field for order in orders for field in order))))


def read_batches(files: Iterable[SourceFile], read_plan: ReadPlan) -> Iterator[Batch]:
    """Yield the rows of the files in order.

    Raises:
        OtherPlanError: they require another plan, all of them from the start.
        DataError: a file that is missing, empty, damaged, in another encoding, or of an unknown kind.
    """
    for number, file in enumerate(files):
        count = 0
        for batch in _batches_of(file, number, read_plan):
            count += len(batch.lines) + len(batch.unreadable)
            yield batch
        if not count:
            raise DataError("the file holds no rows", where=file.name, expected="at least one")


def row_batches(rows: Iterable[Row], numbers: Mapping[str, int], read_plan: ReadPlan) -> Iterator[Batch]:
    """Yield rows that were read elsewhere, each file's as `read_batches` would; all are written as JSON."""
    for name, some in groupby(rows, key=lambda row: row.origin.path):
        suffix = unpacked_suffix(Path(name))
        for batch in _object_batches(some, [], numbers[name], read_plan):
            if suffix in _TABLES:
                batch.records = [batch.record(row) for row in range(len(batch.lines))]
            yield _as_table(batch, name, suffix, read_plan) if suffix in _TABLES else batch


def _object_batches(
    rows: Iterable[Row], errors: list[DataError], number: int, read_plan: ReadPlan
) -> Iterator[ObjectBatch]:
    """Yield rows of a file; `errors`, which fills while they come, are those that could not be read."""
    stream = iter(rows)
    while True:
        some = list(islice(stream, _ROWS_AT_ONCE))
        unreadable = tuple(Unreadable(line=_line(error), fault=_fault(error), text=error.row_text) for error in errors)
        errors.clear()
        if not some and not unreadable:
            return
        lines = pl.Series("line", [row.origin.line for row in some], dtype=pl.UInt64)
        objects: list[object] = [row.value for row in some]
        yield ObjectBatch(
            file=number,
            lines=lines,
            unreadable=unreadable,
            num_bytes=0,
            objects=objects,
            records=None,
            columns=read_plan.columns,
        )


def _batches_of(file: SourceFile, number: int, read_plan: ReadPlan) -> Iterator[Batch]:
    suffix = "" if file.path is None else unpacked_suffix(file.path)
    if file.path is not None and file.name not in read_plan.slow:
        if suffix in (".jsonl", ".ndjson", ".json") and _holds_lines(file):
            if read_plan.text_columns:
                yield from table_batches(file, number, read_plan.text_columns, lambda: _as_objects(read_plan))
            else:
                yield from object_batches(file, number, read_plan.columns)
            return
        if suffix in (".csv", ".tsv"):
            slowly = replace(read_plan, slow=read_plan.slow | {file.name})
            yield from separated_batches(file, number, read_plan.is_conversation, lambda: OtherPlanError(slowly))
            return
        if suffix in COLUMN_SUFFIXES:
            yield from _column_batches(file, number, read_plan)
            return
    errors: list[DataError] = []
    for batch in _object_batches(read_rows([file], on_bad=errors.append), errors, number, read_plan):
        yield _as_table(batch, file.name, suffix, read_plan) if suffix in _TABLES else batch


def _column_batches(file: SourceFile, number: int, read_plan: ReadPlan) -> Iterator[Batch]:
    """Yield a file of columns in columns of its own kinds; if those are lists or structs, with rows as objects."""
    assert file.path is not None
    first = 1
    for frame in column_frames(file.path, file.name):
        lines = pl.int_range(first, first + frame.height, dtype=pl.UInt64, eager=True)
        first += frame.height
        columns = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
        _refuse_what_json_lacks(columns, file.name, lines)
        if any(kind.is_nested() for kind in columns.dtypes):
            objects: list[object] = list(columns.to_dicts())
            yield ObjectBatch(
                file=number,
                lines=lines,
                num_bytes=0,
                objects=objects,
                records=None,
                columns=read_plan.columns,
                table=columns,
            )
        else:
            yield _table_batch(number, lines, columns, read_plan)


def _holds_lines(file: SourceFile) -> bool:
    assert file.path is not None
    if unpacked_suffix(file.path) == ".json":
        return holds_json_lines(file.path, file.name)
    head = read_head(file.path, file.name, by_line=True)
    return not head.lstrip().startswith("[")  # `sources` has the words for such a file


def _as_objects(read_plan: ReadPlan) -> OtherPlanError:
    return OtherPlanError(replace(read_plan, text_columns=()))


def _as_table(batch: ObjectBatch, name: str, suffix: str, read_plan: ReadPlan) -> Batch:
    columns = pl.DataFrame(batch.objects, infer_schema_length=None) if batch.objects else pl.DataFrame()
    _refuse_what_json_lacks(columns, name, batch.lines)
    if any(kind.is_nested() for kind in columns.dtypes):
        return batch
    table = _table_batch(batch.file, batch.lines, columns, read_plan)
    table.unreadable, table.empty_is_null = batch.unreadable, suffix not in COLUMN_SUFFIXES
    table.records = None if batch.records is None else pl.Series(batch.records, dtype=pl.String)
    return table


def _table_batch(number: int, lines: pl.Series, columns: pl.DataFrame, read_plan: ReadPlan) -> TableBatch:
    return TableBatch(
        file=number,
        lines=lines,
        num_bytes=0,
        columns=columns,
        text_columns=tuple(name for name, kind in columns.schema.items() if kind in (pl.String, pl.Null)),
        is_conversation=read_plan.is_conversation,
    )


def _refuse_what_json_lacks(columns: pl.DataFrame, name: str, lines: pl.Series) -> None:
    """Raise a DataError for bytes, NaN and infinity at any depth: rows, the rejected ones too, are shown as JSON."""
    for column, kind in columns.schema.items():
        if "Binary" in str(kind):
            remedy = "Leave the column out, or store its bytes as text."
            raise DataError(
                f'column "{column}" holds bytes', where=name, expected="text, numbers, lists", remedy=remedy
            )
        if "Float" in str(kind):
            series = columns[column]
            odd = pl.Series([not _is_finite(each) for each in series]) if kind.is_nested() else ~series.is_finite()
            for row in odd.arg_true()[:1]:
                what, remedy = f'column "{column}" holds NaN or infinity', "Make it null (fill_nan(None) in polars)."
                expected = "numbers that JSON has"
                raise DataError(what, where=f"{name}:{lines[row]}", expected=expected, remedy=remedy)


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | pl.Series) else ()
    return all(map(_is_finite, inner))


def _line(error: DataError) -> int:
    digits = error.where.rpartition(":")[2]
    return int(digits) if digits.isdecimal() else 0


def _fault(error: DataError) -> str:
    fault = f"{error.what}; expected {error.expected}" if error.expected else error.what
    return f"{fault}. {error.remedy}" if error.remedy else fault
