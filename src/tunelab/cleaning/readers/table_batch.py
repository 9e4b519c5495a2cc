"""Rows of a table: their texts are columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tunelab.cleaning.readers.batch import RECORD, Unreadable, json_of, repeated, text_field_frame
from tunelab.cleaning.rows.json_patch import spliced
from tunelab.cleaning.rows.row_hash import json_keys, picked, table_keys
from tunelab.cleaning.rows.text_fields import Path, is_optional


@dataclass(slots=True, kw_only=True)
class TableBatch:
    """Rows whose texts are columns."""

    file: int
    lines: pl.Series
    unreadable: Sequence[Unreadable] = ()
    num_bytes: int
    columns: pl.DataFrame
    text_columns: tuple[str, ...]
    """Those of them that hold text; others are carried along, and numbers are searched."""
    records: pl.Series | None = None
    """The JSON text of each row, if that is what is written."""
    empty_is_null: bool = False
    """True for CSV, which has no other null."""
    is_conversation: bool = False
    _original: tuple[pl.DataFrame, pl.Series | None] | None = None
    _redacted: dict[int, dict[str, str]] = field(default_factory=dict)
    """Row -> column of numbers -> what replaces the number."""

    @property
    def _as_read(self) -> pl.DataFrame:
        return self.columns if self._original is None else self._original[0]

    @property
    def _number_columns(self) -> tuple[str, ...]:
        return tuple(name for name, kind in self._as_read.schema.items() if kind.is_numeric())

    def _with_numbers(self) -> pl.DataFrame:
        """Return the columns as they are now, those of numbers as they were read."""
        return self.columns.with_columns(self._as_read[name] for name in self._number_columns)

    def text_fields(self, *, is_searched: bool = False) -> pl.DataFrame:
        """Return the text fields column by column: text_field // rows is the column, text_field % rows the row."""
        names = (*self.text_columns, *self._number_columns) if is_searched else self.text_columns
        if not names:
            return text_field_frame([], [], [], [], [])
        text = pl.col(names).cast(pl.String)
        texts = self.columns.select(pl.when(text != "").then(text) if self.empty_is_null else text)
        is_text = [index < len(self.text_columns) for index in range(len(names))]
        may_be_empty = [
            not is_prose or (self.is_conversation and is_optional(name, self.text_columns))
            for name, is_prose in zip(names, is_text, strict=True)
        ]
        height, width = texts.shape
        return pl.DataFrame(
            {
                "text_field": np.arange(width * height, dtype=np.uint32),
                "row": np.tile(np.arange(height, dtype=np.uint32), width),
                "field": repeated(names, height),
                "text": pl.concat(texts.get_columns()),
                "is_prose": repeated(is_text, height),
                "may_be_empty": repeated(may_be_empty, height),
            }
        )

    def change(self, changed: pl.DataFrame) -> None:
        """Put texts into their columns, and into the records of their rows.

        A number that is redacted becomes a text; rows that had no record get one then.
        """
        height = self.columns.height
        if not changed.height:
            return
        self._original = self._original or (self.columns, self.records)
        if self.records is None and changed["text_field"].max() // height >= len(self.text_columns):  # type: ignore[operator]
            self.records = json_of(self.columns)
        new: dict[int, dict[Path, str]] = {}
        for index, name in enumerate((*self.text_columns, *self._number_columns)):
            here = changed.filter(pl.col("text_field") // height == index)
            if here.height:
                places = here["text_field"] % height
                column = self.columns[name].cast(pl.String)
                self.columns = self.columns.with_columns(column.scatter(places, here["text"]))
                if self.records is None:
                    continue
                for row, text in zip(places, here["text"], strict=True):
                    new.setdefault(row, {})[(name,)] = text
                    if index >= len(self.text_columns):
                        self._redacted.setdefault(row, {})[name] = text
        if self.records is not None:
            texts = [spliced(self.records[row], texts) for row, texts in new.items()]
            self.records = self.records.clone().scatter(list(new), texts)  # which changes a series in place

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Hash the columns of each row."""
        if self.is_conversation:
            return json_keys([picked(value, fields) for value in self.columns.to_dicts()])
        keys = table_keys(self.columns, fields)
        if not self._redacted:
            return keys
        rows = list(self._redacted)
        return table_keys(self._with_numbers(), fields).scatter(rows, keys.gather(rows))

    def values(self, rows: pl.Series) -> list[object]:
        """Return rows as objects."""
        if not self._redacted:
            return list(self.columns[rows].to_dicts())
        values = self._with_numbers()[rows].to_dicts()
        return [{**value, **self._redacted.get(row, {})} for row, value in zip(rows, values, strict=True)]

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return columns, or the JSON text from the file."""
        if self.records is not None:
            return pl.DataFrame({RECORD: self.records.gather(rows)})
        return self.columns[rows]

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return the JSON text from the file, or one made of the columns."""
        columns, records = self._original or (self.columns, self.records)
        return records.gather(rows) if records is not None else json_of(columns[rows])
