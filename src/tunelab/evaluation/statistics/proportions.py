"""Rows that are right or wrong and do not depend on each other: the error of a rate, and of the difference of two."""

from __future__ import annotations

import math

from tunelab.evaluation.statistics.distributions import binomial, binomial_at_most, root, two_sided_z
from tunelab.evaluation.statistics.interval import Interval


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval | None:
    """Return Wilson's score interval of a rate; None of no trials."""
    if not trials:
        return None
    z = two_sided_z(confidence)
    rate = successes / trials
    middle = rate + z**2 / (2 * trials)
    spread = z * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    low, high = ((middle + sign * spread) / (1 + z**2 / trials) for sign in (-1, 1))
    return Interval(
        low=0.0 if successes == 0 else low,
        high=1.0 if successes == trials else high,
        method="Wilson",
        confidence=confidence,
    )


def mcnemar_mid_p(only_first: int, only_second: int) -> float:
    """Return the two-sided mid-p value of McNemar's test: that two models are right equally often.

    Of rows where one of the two is right and the other is not, half would be the first's by luck. Half of the chance
    of what was seen is left out: the exact test without that rejects too seldom, and this one was never seen to reject
    too often (Fagerland, Lydersen and Laake 2013).

    Args:
        only_first: rows that the first model has right, and the second wrong.
        only_second: rows that the second has right, and the first wrong.
    """
    flips, fewer = only_first + only_second, min(only_first, only_second)
    if not flips:
        return 1.0
    return min(1.0, 2 * binomial_at_most(fewer, flips, 0.5) - binomial(fewer, flips, 0.5))


def tango_interval(only_first: int, only_second: int, num_rows: int, *, confidence: float = 0.95) -> Interval | None:
    """Return Tango's score interval of the difference of two rates over the same rows (first minus second).

    It holds the differences that a score test does not reject (Tango 1998), and so has a width where no row differs.
    None of no rows.
    """
    if not num_rows:
        return None
    z = two_sided_z(confidence)
    seen = (only_first - only_second) / num_rows

    def score(difference: float) -> float:
        return _tango_score(only_first, only_second, num_rows, difference)

    low = -1.0 if seen == -1 else root(lambda difference: score(difference) - z, -1.0, seen)
    high = 1.0 if seen == 1 else root(lambda difference: score(difference) + z, seen, 1.0)
    return Interval(low=low, high=high, method="Tango", confidence=confidence)


def _tango_score(only_first: int, only_second: int, num_rows: int, difference: float) -> float:
    """Return the score statistic of `difference`: how far what was seen is from it, in standard errors."""
    flips, excess = only_first + only_second, only_first - only_second
    # chance that only the second is right, most likely if `difference` is true: the greater root of a quadratic
    quadratic = 2 * num_rows
    linear = -flips + (2 * num_rows - excess) * difference
    constant = -only_second * difference * (1 - difference)
    chance = (math.sqrt(max(linear**2 - 4 * quadratic * constant, 0.0)) - linear) / (2 * quadratic)
    variance = num_rows * (2 * chance + difference * (1 - difference))
    distance = excess - num_rows * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
