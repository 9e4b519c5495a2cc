"""What would be won if both answers were equally long: judges prefer long answers.

As AlpacaEval's length-controlled win rate (Dubois 2024, arXiv 2404.04475): a logistic regression of who wins on
tanh(difference of lengths / its standard deviation), read off with the length term set to 0.

Legend: N rows, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunelab.evaluation.statistics.groups import FEWEST_GROUPS
from tunelab.evaluation.statistics.interval import Interval

Floats = NDArray[np.float64]

_NUM_RESAMPLES = 1_000
_ROWS_AT_ONCE = 1 << 19
_SLOPE_PRECISION = 1 / 9
"""Of the normal prior of the length term (standard deviation 3), without which lengths that decide every row have no
finite one."""
_STEPS = 50
_LARGEST_STEP = 2.0


def controlled_win_rate(wins: Sequence[float], length_differences: Sequence[float]) -> float | None:
    """Return the win rate at equal lengths; None of no rows.

    It equals the plain one if all lengths are equal, and if all rows say the same: lengths then explain nothing.

    Args:
        wins: 1 if the later model won, 0 if it lost, 0.5 for a tie.
        length_differences: characters of the later model's answer less those of the other.
    """
    if not len(wins):
        return None
    weights = np.ones((1, len(wins)))
    return float(_rates(np.asarray(wins, dtype=np.float64), _scaled(length_differences), weights)[0])


def controlled_interval(
    wins: Sequence[float], length_differences: Sequence[float], groups: Sequence[str], *, seed: int
) -> Interval | None:
    """Return the 95 % interval over resamples of whole groups; None of fewer than ten groups."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < FEWEST_GROUPS:
        return None
    group_N = np.array([numbers[group] for group in groups])
    wins_N, lengths_N = np.asarray(wins, dtype=np.float64), _scaled(length_differences)
    draws, rates = np.random.default_rng(seed), []
    at_once = max(1, _ROWS_AT_ONCE // len(group_N))
    for start in range(0, _NUM_RESAMPLES, at_once):
        size = min(at_once, _NUM_RESAMPLES - start)
        times_BG = draws.multinomial(len(numbers), [1 / len(numbers)] * len(numbers), size)
        rates.append(_rates(wins_N, lengths_N, times_BG[:, group_N].astype(np.float64)))
    low, high = np.quantile(np.concatenate(rates), [0.025, 0.975])
    method = f"{_NUM_RESAMPLES:,} resamples of {len(numbers):,} groups"
    return Interval(low=float(low), high=float(high), method=method)


def _scaled(length_differences: Sequence[float]) -> Floats:
    differences_N = np.asarray(length_differences, dtype=np.float64)
    spread = float(differences_N.std())
    return np.asarray(np.tanh(differences_N / spread)) if spread else np.zeros(len(differences_N))


def _rates(wins_N: Floats, lengths_N: Floats, weights_BN: Floats) -> Floats:
    """Return the win rates at equal lengths for rows that count so many times, by Newton's method for all at once."""
    total_B = weights_BN.sum(axis=1)
    plain_B = (weights_BN @ wins_N) / total_B
    is_one_sided = (plain_B < 1e-9) | (plain_B > 1 - 1e-9)
    intercept_B, slope_B = np.zeros(len(weights_BN)), np.zeros(len(weights_BN))
    for _ in range(_STEPS):
        chance_BN = _logistic(intercept_B[:, None] + slope_B[:, None] * lengths_N)
        error_BN = weights_BN * (wins_N - chance_BN)
        spread_BN = weights_BN * chance_BN * (1 - chance_BN)
        by_intercept, by_slope = error_BN.sum(axis=1), error_BN @ lengths_N - _SLOPE_PRECISION * slope_B
        a, b = spread_BN.sum(axis=1) + 1e-9, spread_BN @ lengths_N
        c = spread_BN @ lengths_N**2 + _SLOPE_PRECISION
        determinant = a * c - b * b
        intercept_step = np.clip((c * by_intercept - b * by_slope) / determinant, -_LARGEST_STEP, _LARGEST_STEP)
        slope_step = np.clip((a * by_slope - b * by_intercept) / determinant, -_LARGEST_STEP, _LARGEST_STEP)
        intercept_B, slope_B = intercept_B + intercept_step, slope_B + slope_step
        if np.abs([intercept_step, slope_step])[:, ~is_one_sided].max(initial=0.0) < 1e-10:
            break
    return np.where(is_one_sided, plain_B, _logistic(intercept_B))


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -40, 40))))
