"""Strips: values, intervals and thresholds on one horizontal axis, in percent of its width: any width will do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tunelab.evaluation.statistics.interval import Interval

_MARGIN = 0.06
"""Of the range of values, on both sides, so that no dot is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the axis."""

    x: str
    width: str
    kind: str
    """The class that styles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place on the axis."""

    x: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What is drawn on one axis, from back to front."""

    description: str
    """All that the picture says, in words."""
    zones: tuple[Stretch, ...] = ()
    ticks: tuple[Point, ...] = ()
    spans: tuple[Stretch, ...] = ()
    dots: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Where values lie, from `low` to `high`."""

    low: float
    high: float

    def at(self, value: float, kind: str) -> Point:
        """Return the point of a value; one beyond an end lies on it."""
        return Point(x=_percent(self._share(value)), kind=kind)

    def between(self, low: float, high: float, kind: str) -> Stretch:
        """Return the part of the axis between two values."""
        start, end = self._share(low), self._share(high)
        return Stretch(x=_percent(start), width=_percent(max(end - start, 0.0)), kind=kind)

    def spans(self, interval: Interval | None, kind: str) -> tuple[Stretch, ...]:
        """Return an interval as the part of the axis that it covers; nothing if there is none."""
        return () if interval is None else (self.between(interval.low, interval.high, kind),)

    def _share(self, value: float) -> float:
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def axis_over(values: Iterable[float | None], *intervals: Interval | None) -> Axis:
    """Return an axis on which all values and intervals fit."""
    ends = [end for each in intervals if each is not None for end in (each.low, each.high)]
    known = [value for value in (*values, *ends) if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    margin = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
    return Axis(low=low - margin, high=high + margin)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"
