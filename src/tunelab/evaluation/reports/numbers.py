"""Figures as text, each by its kind: shares in percent, their differences in points, nats, milliseconds, counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import get_args

from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.rows.evaluated_row import TaskKind
from tunelab.evaluation.statistics.interval import Interval

NO_RESULT = "–"
_POINTS = "\N{NO-BREAK SPACE}points"
_PERCENT = "\N{NO-BREAK SPACE}%"
_MILLISECONDS = "\N{NO-BREAK SPACE}ms"
_MOST_PLAIN = 1e6
"""Greater numbers are written with a power of ten."""
_SHARES = frozenset({"argument_accuracy", "bias_gap", "field_accuracy", "off_list", "robustness_loss"})
"""Shares that are no mean of right and wrong rows."""
_DIGITS = {"chrf": 1, "bleu": 1, "answer_tokens": 1, "length_ratio": 2, "perplexity": 2, "tokens_per_s": 1}
_OTHER_DIGITS = 3
"""For what is measured from 0 to 1, and nats."""


def in_words(name: str, value: float | None) -> str:
    """Return a figure as it is read, e.g. ``87.5 %``; a dash if it was not measured."""
    if value is None or not math.isfinite(value):
        return NO_RESULT
    return ("\N{MINUS SIGN}" if value < 0 else "") + _style(name)(abs(value))


def difference_in_words(name: str, value: float | None) -> str:
    """Return a difference with its sign, e.g. ``+26.5 points``: +5 % might be taken for a twentieth more."""
    if value is None or not math.isfinite(value):
        return NO_RESULT
    text = _style(name)(abs(value)).replace(_PERCENT, _POINTS)
    rounds_to_zero = not any(digit in text for digit in "123456789")
    return text if rounds_to_zero else ("+" if value > 0 else "\N{MINUS SIGN}") + text


def interval_in_words(name: str, interval: Interval | None, *, of_difference: bool = False) -> str:
    """Return the ends of an interval with their unit once, e.g. ``61.0 to 74.2 %``; a dash if there is none."""
    if interval is None:
        return NO_RESULT
    style = difference_in_words if of_difference else in_words
    low, high = style(name, interval.low), style(name, interval.high)
    for unit in (_POINTS, _PERCENT, _MILLISECONDS):
        low = low.removesuffix(unit)
    return f"{low} to {high}"


def bytes_in_words(size: int) -> str:
    """Return a size on disk, e.g. ``3.4 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f}\N{NO-BREAK SPACE}{unit}"
    return f"{size}\N{NO-BREAK SPACE}bytes"


def is_share(name: str) -> bool:
    """Return whether a figure goes from 0 to 100 %."""
    return name in _SHARES or name in _shares_of_rows()


@cache
def _shares_of_rows() -> frozenset[str]:
    return frozenset(figure.name for figure in figures_of(get_args(TaskKind)) if figure.is_share)


def _style(name: str) -> Callable[[float], str]:
    """Return what writes a figure that is not negative."""
    if is_share(name):
        return lambda value: f"{100 * value:.1f}{_PERCENT}"
    if name.endswith("_ms"):
        return lambda value: f"{value:,.0f}{_MILLISECONDS}" if value >= 10 else f"{value:.1f}{_MILLISECONDS}"
    digits = _DIGITS.get(name, _OTHER_DIGITS)
    return lambda value: f"{value:,.{digits}f}" if value < _MOST_PLAIN else f"{value:.1e}"
