"""Quantiles and probabilities of the normal, Student's and the binomial distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

_STEPS = 200


def normal_quantile(probability: float) -> float:
    """Return z with P(Z <= z) = `probability`."""
    return NormalDist().inv_cdf(probability)


def two_sided_z(confidence: float) -> float:
    """Return z with P(-z <= Z <= z) = `confidence`: 1.96 for 0.95."""
    return normal_quantile((1 + confidence) / 2)


def normal_tail(z: float) -> float:
    """Return P(Z >= z)."""
    return 0.5 * math.erfc(z / math.sqrt(2))


@cache
def student_quantile(probability: float, degrees: int) -> float:
    """Return t with P(T <= t) = `probability` for Student's distribution with `degrees` (1 or more) of freedom."""
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    if probability == 0.5:
        return 0.0
    # over angles, since the quantiles of few degrees have no bound: t = √degrees · tan(angle)
    inside = 2 * probability - 1
    angle = root(lambda angle: _student_within(angle, degrees) - inside, 0.0, math.pi / 2)
    return math.sqrt(degrees) * math.tan(angle)


def _student_within(angle: float, degrees: int) -> float:
    """Return P(|T| <= t), by the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    cosine, is_odd = math.cos(angle), degrees % 2
    term = total = cosine if is_odd else 1.0
    for number in range(2 + is_odd, degrees - 1, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    if not is_odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + math.sin(angle) * (total if degrees > 1 else 0.0))


def binomial_at_most(successes: int, trials: int, probability: float) -> float:
    """Return P(X <= `successes`) of a binomial distribution."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return min(1.0, math.fsum(binomial(each, trials, probability) for each in range(successes + 1)))


def binomial(successes: int, trials: int, probability: float) -> float:
    """Return P(X = `successes`) of a binomial distribution."""
    if probability in (0.0, 1.0):
        return float(successes == trials * probability)
    log_ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    log_chance = successes * math.log(probability) + (trials - successes) * math.log1p(-probability)
    return math.exp(log_ways + log_chance)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising or falling function is zero between `low` and `high`, by halving, to the last digit.

    Where it has one sign throughout, the end nearer to zero is returned.
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0 or at_low * at_high > 0:
        return low if abs(at_low) <= abs(at_high) else high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        value = function(middle)
        if value * at_low > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
