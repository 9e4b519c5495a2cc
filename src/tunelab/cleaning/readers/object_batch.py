"""Rows of any shape."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import polars as pl

from tunelab.cleaning.readers.batch import RECORD, Unreadable, text_field_frame
from tunelab.cleaning.rows.json_patch import spliced
from tunelab.cleaning.rows.row_hash import json_keys, picked, table_keys
from tunelab.cleaning.rows.text_fields import Path, joined, put_back, text_fields_of

_JSON = msgspec.json.Encoder()


@dataclass(slots=True, kw_only=True)
class ObjectBatch:
    """Rows of any shape."""

    file: int
    lines: pl.Series
    unreadable: Sequence[Unreadable] = ()
    num_bytes: int
    objects: list[object]
    records: list[str] | None
    """The JSON text of each row as it was read; None if it was on no line of its own."""
    columns: tuple[str, ...] = ()
    """The fields of a table's rows; none for conversations."""
    table: pl.DataFrame | None = None
    """The rows as columns of the kinds that their file has, lists and structs among them; None if it has none."""
    _paths: list[tuple[int, Path]] = field(default_factory=list)
    _originals: dict[int, str] = field(default_factory=dict)
    _changed_columns: set[str] = field(default_factory=set)

    def text_fields(self, *, is_searched: bool = False) -> pl.DataFrame:
        """Walk the rows; a column that is no text is one more text field, its JSON, if it is to be searched."""
        self._paths = []
        rows, fields, texts, prose, empty = [], [], [], [], []
        for row, value in enumerate(self.objects):
            for text_field in text_fields_of(value, self.columns, is_searched=is_searched):
                self._paths.append((row, text_field.path))
                rows.append(row)
                fields.append(text_field.field)
                texts.append(text_field.text)
                prose.append(text_field.is_prose)
                empty.append(text_field.may_be_empty)
        return text_field_frame(rows, fields, texts, prose, empty)

    def change(self, changed: pl.DataFrame) -> None:
        """Put texts back into their objects, and into the JSON text of those."""
        new: dict[int, dict[Path, str]] = {}
        for text_field, text in changed.select("text_field", "text").iter_rows():
            row, path = self._paths[text_field]
            if row not in self._originals:
                self._originals[row] = self.record(row)
            new.setdefault(row, {})[path] = text
            self._changed_columns.update(str(name) for name in path[:1])
        for row, texts in new.items():
            if self.columns:
                new[row] = texts = _without_overlap(self.objects[row], texts)
            for path, text in texts.items():
                self.objects[row] = put_back(self.objects[row], path, text)
        if self.records is not None:
            for row, texts in new.items():
                self.records[row] = spliced(self.records[row], texts)

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Hash the JSON text of each row with its keys sorted."""
        if self.columns and all(map(_is_flat, self.objects)):
            texts = {name: [value.get(name) for value in self.objects] for name in self.columns}  # type: ignore[attr-defined]
            return table_keys(pl.DataFrame(texts, schema=dict.fromkeys(self.columns, pl.String)), fields)
        if not fields:
            return json_keys(self.objects)
        named = [[picked(value, fields)] for value in self.objects]  # and roles, which are fields of messages
        named_texts = self.text_fields().filter(pl.col("field").is_in(list(fields)))
        for row, name, text in named_texts.select("row", "field", "text").iter_rows():
            named[row].append([name, text])
        return json_keys(named)

    def values(self, rows: pl.Series) -> list[object]:
        """Return rows as they were read."""
        return [self.objects[row] for row in rows]

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return columns of the file's own kinds, else JSON text: also if a changed text no longer fits its kind."""
        if self.table is not None:
            with suppress(pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
                return self._kept_columns(self.table, rows)
        return pl.DataFrame({RECORD: pl.Series([self.record(row) for row in rows], dtype=pl.String)})

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return the JSON text from the file, or one made of the object."""
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


def _without_overlap(value: object, texts: dict[Path, str]) -> dict[Path, str]:
    """Return changes of a table's row, those inside a column that is changed as a whole joined with it."""
    assert isinstance(value, dict)
    apart = dict(texts)
    for path, text in texts.items():
        inside = {each: apart.pop(each) for each in texts if len(each) > 1 == len(path) and each[:1] == path}
        if inside:
            below = {each[1:]: changed for each, changed in inside.items()}
            apart[path] = json.dumps(joined(value[path[0]], json.loads(text), below), ensure_ascii=False)
    return apart


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str | None) for each in value.values())


def _encoded(value: object) -> str:
    """Return a row of JSON lines; a paragraph of a text file is an object with one field."""
    return _JSON.encode({"text": value} if isinstance(value, str) else value).decode()
