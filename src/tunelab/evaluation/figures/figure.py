"""A figure: what each row adds to it, and what the sums say. Whatever is built so can be resampled at no cost.

Legend: N rows, F summands, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Generic[Row]):
    """Something that is measured of rows of one kind."""

    name: str
    """As gates and JSON name it, e.g. ``macro_f1``."""
    title: str
    meaning: str
    """In a few words, with its unit."""
    better: Literal["higher", "lower", ""]
    """Which way is better; empty if neither is."""
    summands: Callable[[Row], tuple[float, ...]]
    """What a row adds; as many numbers for every row."""
    value: Callable[[Floats], Floats]
    """From sums (… × F) to figures (…); NaN if there is nothing to measure."""
    is_share: bool = False
    """Whether every row is right or wrong, and the figure the share that is right."""


def mean_figure(
    name: str,
    *,
    title: str,
    meaning: str,
    better: Literal["higher", "lower", ""],
    of: Callable[[Row], float | None],
    is_share: bool = False,
) -> Figure[Row]:
    """Return the figure that is the mean of a number over the rows that have one."""

    def summands(row: Row) -> tuple[float, ...]:
        number = of(row)
        return (0.0, 0.0) if number is None else (float(number), 1.0)

    return Figure(
        name=name,
        title=title,
        meaning=meaning,
        better=better,
        summands=summands,
        value=lambda sums: ratio(sums[..., 0], sums[..., 1]),
        is_share=is_share,
    )


def ratio(above: Floats, below: Floats) -> Floats:
    """Return quotients; NaN of nothing."""
    quotients = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=quotients, where=np.asarray(below) != 0)
    return quotients
