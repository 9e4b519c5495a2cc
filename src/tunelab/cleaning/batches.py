"""Rows on their way through cleaning, some thousand at a time: a table's columns, or objects of any shape.

Rules see both as one frame of text leaves: `leaf` (its number), `row` (its number in the batch), `field`, `text`, and
the flags `is_prose` and `may_be_empty`.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import polars as pl

from tunelab.cleaning.leaves import Path, is_optional, leaves_of, put_back
from tunelab.cleaning.splice import spliced

_JSON = msgspec.json.Encoder()
_SORTED_JSON = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What was no row."""

    line: int
    fault: str
    """What was seen and what was expected."""
    text: str | None = None
    """The line as it stood, where it can be had."""


class Batch(Protocol):
    """Rows of one file, in order."""

    file: int
    """Number of the file they stand in."""
    lines: pl.Series
    """1-based line of each row, as `sources` counts them."""
    unreadable: Sequence[Unreadable]
    num_bytes: int
    """Bytes of the file that were read for them."""

    def leaves(self) -> pl.DataFrame:
        """Return the frame of text leaves."""
        ...

    def change(self, changed: pl.DataFrame) -> None:
        """Take over the `text` of the leaves `leaf`."""
        ...

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Return a 64-bit hash of each row that equals where rows do, in `fields` where any is named.

        Rows of a table are equal by their texts, whatever kind of file they stand in.
        """
        ...

    def values(self, rows: pl.Series) -> list[object]:
        """Return some rows as `sources` would."""
        ...

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return some rows as they are written: a column `RECORD` of JSON text, or the columns of a table."""
        ...

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return some rows as JSON text, as they stood before any change."""
        ...


RECORD = "\1record"
"""Column of rows that are JSON text."""


@dataclass(slots=True, kw_only=True)
class TableBatch:
    """Rows whose texts are columns."""

    file: int
    lines: pl.Series
    unreadable: Sequence[Unreadable] = ()
    num_bytes: int
    columns: pl.DataFrame
    text_columns: tuple[str, ...]
    """Those of them that hold text; others are carried along."""
    records: pl.Series | None = None
    """The JSON text of each row, where that is what is written."""
    empty_is_null: bool = False
    """True for CSV, which has no other null."""
    is_conversation: bool = False
    _original: tuple[pl.DataFrame, pl.Series | None] | None = None

    def leaves(self) -> pl.DataFrame:
        """Return the leaves column by column: leaf // rows is the column, leaf % rows the row."""
        height = self.columns.height
        number = pl.int_range(height, dtype=pl.UInt32)
        parts = []
        for index, name in enumerate(self.text_columns):
            text = pl.col(name)
            if self.empty_is_null:
                text = pl.when(text != "").then(text)
            parts.append(
                self.columns.select(
                    leaf=number + pl.lit(index * height, dtype=pl.UInt32),
                    row=number,
                    field=pl.lit(name),
                    text=text,
                    is_prose=pl.lit(True),
                    may_be_empty=pl.lit(self.is_conversation and is_optional(name, self.text_columns)),
                )
            )
        return pl.concat(parts) if parts else _leaf_frame([], [], [], [], [])

    def change(self, changed: pl.DataFrame) -> None:
        """Put texts into their columns, and into the records of their rows."""
        height = self.columns.height
        if not changed.height:
            return
        self._original = self._original or (self.columns, self.records)
        new: dict[int, dict[Path, str]] = {}
        for index, name in enumerate(self.text_columns):
            here = changed.filter(pl.col("leaf") // height == index)
            if here.height:
                places = here["leaf"] % height
                self.columns = self.columns.with_columns(self.columns[name].scatter(places, here["text"]))
                for row, text in zip(places, here["text"], strict=True):
                    new.setdefault(row, {})[(name,)] = text
        if self.records is not None:
            texts = [spliced(self.records[row], texts) for row, texts in new.items()]
            self.records = self.records.scatter(list(new), texts)

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Hash the columns of each row."""
        if self.is_conversation:
            return _json_keys([_picked(value, fields) for value in self.columns.to_dicts()])
        return _table_keys(self.columns, fields)

    def values(self, rows: pl.Series) -> list[object]:
        """Return rows as objects."""
        return list(self.columns[rows].to_dicts())

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return columns, or the JSON text that stood in the file."""
        if self.records is not None:
            return pl.DataFrame({RECORD: self.records.gather(rows)})
        return self.columns[rows]

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return the JSON text that stood in the file, or one made of the columns."""
        columns, records = self._original or (self.columns, self.records)
        return records.gather(rows) if records is not None else json_of(columns[rows])


@dataclass(slots=True, kw_only=True)
class ObjectBatch:
    """Rows of any shape."""

    file: int
    lines: pl.Series
    unreadable: Sequence[Unreadable] = ()
    num_bytes: int
    objects: list[object]
    records: list[str] | None
    """The JSON text of each row as it stood; None where it stood in no line of its own."""
    columns: tuple[str, ...] = ()
    """The fields of a table's rows; none for conversations."""
    table: pl.DataFrame | None = None
    """The rows as columns of the kinds that their file has, lists and structs among them; None where it has none."""
    _paths: list[tuple[int, Path]] = field(default_factory=list)
    _originals: dict[int, str] = field(default_factory=dict)
    _changed_columns: set[str] = field(default_factory=set)

    def leaves(self) -> pl.DataFrame:
        """Walk the rows."""
        self._paths = []
        rows, fields, texts, prose, empty = [], [], [], [], []
        for row, value in enumerate(self.objects):
            for leaf in leaves_of(value, self.columns):
                self._paths.append((row, leaf.path))
                rows.append(row)
                fields.append(leaf.field)
                texts.append(leaf.text)
                prose.append(leaf.is_prose)
                empty.append(leaf.may_be_empty)
        return _leaf_frame(rows, fields, texts, prose, empty)

    def change(self, changed: pl.DataFrame) -> None:
        """Put texts back into their objects, and into the JSON text of those."""
        new: dict[int, dict[Path, str]] = {}
        for leaf, text in changed.select("leaf", "text").iter_rows():
            row, path = self._paths[leaf]
            if row not in self._originals:
                self._originals[row] = self.record(row)
            self.objects[row] = put_back(self.objects[row], path, text)
            new.setdefault(row, {})[path] = text
            self._changed_columns.update(str(name) for name in path[:1])
        if self.records is not None:
            for row, texts in new.items():
                self.records[row] = spliced(self.records[row], texts)

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Hash the JSON text of each row with its keys sorted."""
        if self.columns and all(map(_is_flat, self.objects)):
            texts = {name: [value.get(name) for value in self.objects] for name in self.columns}  # type: ignore[attr-defined]
            return _table_keys(pl.DataFrame(texts, schema=dict.fromkeys(self.columns, pl.String)), fields)
        if not fields:
            return _json_keys(self.objects)
        named = [[_picked(value, fields)] for value in self.objects]  # and roles, which are fields of messages
        looked_at = self.leaves().filter(pl.col("field").is_in(list(fields)))
        for row, name, text in looked_at.select("row", "field", "text").iter_rows():
            named[row].append([name, text])
        return _json_keys(named)

    def values(self, rows: pl.Series) -> list[object]:
        """Return rows as they were read."""
        return [self.objects[row] for row in rows]

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return columns of the file's own kinds, else JSON text: also where a changed text fits its kind no more."""
        if self.table is not None:
            with suppress(pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
                return self._kept_columns(self.table, rows)
        return pl.DataFrame({RECORD: pl.Series([self.record(row) for row in rows], dtype=pl.String)})

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return the JSON text that stood in the file, or one made of the object."""
        originals = self._originals
        texts = [originals[row] if row in originals else self.record(row) for row in rows]
        return pl.Series("", texts, dtype=pl.String)

    def _kept_columns(self, table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
        for name in self._changed_columns:
            texts: list[object] = table[name].to_list()
            for row in self._originals:
                texts[row] = self.objects[row][name]  # type: ignore[index]
            column = pl.Series(name, texts, dtype=table.schema[name])
            if column.to_list() != texts:  # inside lists, polars makes null of what is of another kind
                raise TypeError(name)
            table = table.with_columns(column)
        return table[rows]

    def record(self, row: int) -> str:
        """Return the JSON text of a row."""
        return _encoded(self.objects[row]) if self.records is None else self.records[row]


def _leaf_frame(
    rows: list[int], fields: list[str], texts: list[str | None], prose: list[bool], empty: list[bool]
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "leaf": pl.int_range(len(rows), dtype=pl.UInt32, eager=True),
            "row": pl.Series(rows, dtype=pl.UInt32),
            "field": pl.Series(fields, dtype=pl.String),
            "text": pl.Series(texts, dtype=pl.String),
            "is_prose": pl.Series(prose, dtype=pl.Boolean),
            "may_be_empty": pl.Series(empty, dtype=pl.Boolean),
        }
    )


def json_of(columns: pl.DataFrame) -> pl.Series:
    """Return the rows of a table as JSON text."""
    return columns.select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _table_keys(columns: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    if not columns.height:  # where no row could be read, there are no columns either
        return pl.Series("key", dtype=pl.UInt64)
    names = sorted(fields or columns.columns)
    return columns.select(pl.struct(names).hash(seed=len(names)).alias("key")).to_series()


def _json_keys(values: Sequence[object]) -> pl.Series:
    return pl.Series("key", list(map(_SORTED_JSON.encode, values)), dtype=pl.Binary).hash()


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str | None) for each in value.values())


def _picked(value: object, fields: Sequence[str]) -> object:
    """Return the `fields` of a row, or all of it where none is named or it has none."""
    return [value.get(name) for name in fields] if fields and isinstance(value, dict) else value


def _encoded(value: object) -> str:
    """Return a row of JSON lines; a paragraph of a text file is an object with one field."""
    return _JSON.encode({"text": value} if isinstance(value, str) else value).decode()
