"""Rows on their way through cleaning, some thousand at a time: a table's columns, or objects of any shape.

Rules see both as one frame of text fields: `text_field` (its number), `row` (its number in the batch), `field`, `text`,
and the flags `is_prose` and `may_be_empty`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What was no row."""

    line: int
    fault: str
    """What was seen and what was expected."""
    text: str | None = None
    """The line as it was read, if it can be had."""


class Batch(Protocol):
    """Rows of one file, in order."""

    file: int
    """Number of the file they come from."""
    lines: pl.Series
    """1-based line of each row, as `sources` counts them."""
    unreadable: Sequence[Unreadable]
    num_bytes: int
    """Bytes of the file that were read for them."""

    def text_fields(self, *, is_searched: bool = False) -> pl.DataFrame:
        """Return the frame of text fields; if it is to be searched, with numbers, lists and objects of tables."""
        ...

    def change(self, changed: pl.DataFrame) -> None:
        """Take over the `text` of the text fields named `text_field`."""
        ...

    def keys(self, fields: Sequence[str]) -> pl.Series:
        """Return a 64-bit hash of each row, equal for equal rows, by `fields` if any is named.

        Rows of a table are equal by their texts, whatever kind of file they come from.
        """
        ...

    def values(self, rows: pl.Series) -> list[object]:
        """Return some rows as `sources` would."""
        ...

    def kept(self, rows: pl.Series) -> pl.DataFrame:
        """Return some rows as they are written: a column `RECORD` of JSON text, or the columns of a table."""
        ...

    def shown(self, rows: pl.Series) -> pl.Series:
        """Return some rows as JSON text, as they were before any change."""
        ...


RECORD = "\1record"
"""Column of rows that are JSON text."""


def text_field_frame(
    rows: list[int], fields: list[str], texts: list[str | None], prose: list[bool], empty: list[bool]
) -> pl.DataFrame:
    """Return a frame of text fields, numbered in their order."""
    return pl.DataFrame(
        {
            "text_field": pl.int_range(len(rows), dtype=pl.UInt32, eager=True),
            "row": pl.Series(rows, dtype=pl.UInt32),
            "field": pl.Series(fields, dtype=pl.String),
            "text": pl.Series(texts, dtype=pl.String),
            "is_prose": pl.Series(prose, dtype=pl.Boolean),
            "may_be_empty": pl.Series(empty, dtype=pl.Boolean),
        }
    )


def repeated(values: Sequence[object], times: int) -> pl.Series:
    """Return each value so many times, one after the other."""
    every = pl.Series(values)
    return pl.concat([every.new_from_index(index, times) for index in range(len(values))])


def json_of(columns: pl.DataFrame) -> pl.Series:
    """Return the rows of a table as JSON text; if no row could be read, there are no columns either."""
    if not columns.width:
        return pl.Series(dtype=pl.String)
    return columns.select(pl.struct(pl.all()).struct.json_encode()).to_series()
