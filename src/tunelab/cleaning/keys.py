"""Hashes of rows: equal where rows are, whatever kind of file they stand in."""

from collections.abc import Sequence

import msgspec
import polars as pl

_SORTED_JSON = msgspec.json.Encoder(order="sorted")


def table_keys(columns: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    """Return the 64-bit hash of each row of a table, in `fields` where any is named."""
    if not columns.height:  # where no row could be read, there are no columns either
        return pl.Series("key", dtype=pl.UInt64)
    names = sorted(fields or columns.columns)
    return columns.select(pl.struct(names).hash(seed=len(names)).alias("key")).to_series()


def json_keys(values: Sequence[object]) -> pl.Series:
    """Return the 64-bit hash of the JSON text of each value, its names sorted."""
    return pl.Series("key", list(map(_SORTED_JSON.encode, values)), dtype=pl.Binary).hash()


def picked(value: object, fields: Sequence[str]) -> object:
    """Return the `fields` of a row, or all of it where none is named or it has none."""
    return [value.get(name) for name in fields] if fields and isinstance(value, dict) else value
