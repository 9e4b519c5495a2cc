"""Several verdicts at once: of twenty unchanged figures, one is called worse at 5 % in two of three cases."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm's method.

    Of the verdicts on those below 0.05, all are right in 95 of 100 cases.
    """
    adjusted, greatest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(_ascending(p_values)):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = greatest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Benjamini and Hochberg, for a list of what is worth a look.

    Of those below 0.05, 5 % are luck on average.
    """
    adjusted, least = [0.0] * len(p_values), 1.0
    for rank, index in reversed(list(enumerate(_ascending(p_values), start=1))):
        least = min(least, p_values[index] * (len(p_values) / rank))
        adjusted[index] = least
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=p_values.__getitem__)
