"""Quantiles of latencies, with intervals that assume nothing of their distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.evaluation.statistics.distributions import binomial_at_most
from tunelab.evaluation.statistics.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A quantile of measured values, and the measured values between which it lies."""

    value: float
    interval: Interval


def quantile(values: Sequence[float], share: float, *, confidence: float = 0.95) -> Quantile | None:
    """Return the value that `share` of all values do not exceed; None if too few were measured for an interval.

    The ends are the values at two ranks, by the binomial number of values below the quantile. A 95th percentile needs
    72 values: of fewer, none may be above it.
    """
    ranks = ranks_around(len(values), share, confidence=confidence)
    if ranks is None:
        return None
    ascending = sorted(values)
    low, high = (ascending[rank - 1] for rank in ranks)
    method = f"ranks {ranks[0]} to {ranks[1]} of {len(values):,}"
    middle = ascending[max(math.ceil(share * len(values)), 1) - 1]
    return Quantile(value=middle, interval=Interval(low=low, high=high, method=method, confidence=confidence))


def ranks_around(count: int, share: float, *, confidence: float = 0.95) -> tuple[int, int] | None:
    """Return the two ranks, from 1, whose values hold the quantile between them; None if there are too few values."""
    beyond = (1 - confidence) / 2
    low = next((rank for rank in range(count, 0, -1) if binomial_at_most(rank - 1, count, share) <= beyond), None)
    high = next((rank for rank in range(1, count + 1) if binomial_at_most(rank - 1, count, share) >= 1 - beyond), None)
    return None if low is None or high is None else (low, high)
