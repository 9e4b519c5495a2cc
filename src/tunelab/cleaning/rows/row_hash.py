"""Hashes of rows: equal where rows are, whatever kind of file they come from."""

from collections.abc import Sequence

import msgspec
import polars as pl

_ODD = 0x9E3779B97F4A7C15
"""What hashes are multiplied by before the next is added, modulo 2**64."""
_SORTED_JSON = msgspec.json.Encoder(order="sorted")


def table_keys(columns: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    """Return the 64-bit hash of each row of a table, by `fields` if any is named."""
    if not columns.height:  # if no row could be read, there are no columns either
        return pl.Series("key", dtype=pl.UInt64)
    key = pl.lit(0, dtype=pl.UInt64)
    for seed, name in enumerate(sorted(fields or columns.columns)):
        is_text = columns.schema[name] in (pl.String, pl.Null)  # 0 and false hash alike, alone
        hashed = pl.col(name).hash(seed=seed) if is_text else pl.struct(name).hash(seed=seed)
        key = key * pl.lit(_ODD, dtype=pl.UInt64) + hashed
    return columns.select(key=key).to_series()


def json_keys(values: Sequence[object]) -> pl.Series:
    """Return the 64-bit hash of the JSON text of each value, its names sorted."""
    return pl.Series("key", list(map(_SORTED_JSON.encode, values)), dtype=pl.Binary).hash()


def picked(value: object, fields: Sequence[str]) -> object:
    """Return the `fields` of a row, or all of it if none is named or it has none."""
    return [value.get(name) for name in fields] if fields and isinstance(value, dict) else value
