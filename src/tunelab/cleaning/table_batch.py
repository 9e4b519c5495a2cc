"""Rows of a table: their texts are columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tunelab.cleaning.batch import RECORD, Unreadable, json_of, leaf_frame
from tunelab.cleaning.keys import json_keys, picked, table_keys
from tunelab.cleaning.leaves import Path, is_optional
from tunelab.cleaning.splice import spliced


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
        return pl.concat(parts) if parts else leaf_frame([], [], [], [], [])

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
            return json_keys([picked(value, fields) for value in self.columns.to_dicts()])
        return table_keys(self.columns, fields)

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
