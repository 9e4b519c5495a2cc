"""Whether a model that says 80 % is right in 80 of 100 cases, and how far a calibrated one would be off by luck.

Legend: N rows, each with the confidence in its answer (0 to 1) and whether it was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.evaluation.statistics.distributions import root

Floats = NDArray[np.float64]

NUM_BINS = 15
_NUM_DRAWS = 2_000
_GREATEST_LOG_TEMPERATURE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """The expected calibration error, next to what luck alone gives on these rows."""

    value: float
    """Mean distance of confidence and accuracy, 0 to 1, over bins of equal width."""
    by_luck: float
    """What 95 of 100 perfectly calibrated models with these confidences stay below."""
    p: float
    """Chance that a perfectly calibrated model is at least so far off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierParts:
    """The Brier score, which is `miscalibration` - `discrimination` + `uncertainty` (Dimitriadis and others 2021)."""

    score: float
    """Mean squared distance of confidence and outcome; 0 is best."""
    miscalibration: float
    """What the best monotone change of the confidences would save."""
    discrimination: float
    """What they are worth, so changed, over always saying the mean."""
    uncertainty: float
    """The score of always saying the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The rows of one bin of a reliability diagram."""

    low: float
    high: float
    num_rows: int
    confidence: float
    """Mean."""
    num_right: int


def calibration_error(
    confidence: Sequence[float], is_right: Sequence[bool], *, seed: int, num_bins: int = NUM_BINS
) -> CalibrationError | None:
    """Return the expected calibration error of top answers, next to its null distribution; None of no rows.

    An error above zero says little by itself: a perfectly calibrated model has 0.088 on average over 100 rows.
    """
    confidence_N, right_N = _arrays(confidence, is_right)
    if not len(confidence_N):
        return None
    bin_N = _bins(confidence_N, num_bins)
    seen = _error(confidence_N, right_N, bin_N, num_bins)
    draws = np.random.default_rng(seed)
    null = np.array(
        [
            _error(confidence_N, (draws.random(len(confidence_N)) < confidence_N).astype(np.float64), bin_N, num_bins)
            for _ in range(_NUM_DRAWS)
        ]
    )
    num_beyond = int((null >= seen - 1e-12).sum())
    return CalibrationError(value=seen, by_luck=float(np.quantile(null, 0.95)), p=(num_beyond + 1) / (_NUM_DRAWS + 1))


def reliability(
    confidence: Sequence[float], is_right: Sequence[bool], *, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """Return the bins that hold rows, for a reliability diagram."""
    confidence_N, right_N = _arrays(confidence, is_right)
    bin_N = _bins(confidence_N, num_bins)
    return [
        ReliabilityBin(
            low=number / num_bins,
            high=(number + 1) / num_bins,
            num_rows=int((bin_N == number).sum()),
            confidence=float(confidence_N[bin_N == number].mean()),
            num_right=int(right_N[bin_N == number].sum()),
        )
        for number in np.unique(bin_N).tolist()
    ]


def brier_parts(confidence: Sequence[float], is_right: Sequence[bool]) -> BrierParts | None:
    """Return the Brier score and its parts by isotonic regression, which needs no bins; None of no rows."""
    confidence_N, right_N = _arrays(confidence, is_right)
    if not len(confidence_N):
        return None
    score = float(((confidence_N - right_N) ** 2).mean())
    recalibrated = float(((isotonic(confidence_N, right_N) - right_N) ** 2).mean())
    uncertainty = float(((right_N.mean() - right_N) ** 2).mean())
    return BrierParts(
        score=score,
        miscalibration=score - recalibrated,
        discrimination=uncertainty - recalibrated,
        uncertainty=uncertainty,
    )


def isotonic(confidence_N: Floats, right_N: Floats) -> Floats:
    """Return the values that rise with the confidence and are nearest to the outcomes (pool adjacent violators)."""
    levels, level_N = np.unique(confidence_N, return_inverse=True)
    sums_L = np.bincount(level_N, weights=right_N, minlength=len(levels))
    sizes_L = np.bincount(level_N, minlength=len(levels))
    pools: list[list[float]] = []  # sum, rows, levels
    for total, size in zip(sums_L.tolist(), sizes_L.tolist(), strict=True):
        pools.append([total, size, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [before + added for before, added in zip(pools[-1], last, strict=True)]
    means = [total / size for total, size, _ in pools]
    return np.repeat(means, [int(count) for _, _, count in pools])[level_N]


def temperature(logits_NC: Floats, right_N: Sequence[int]) -> float:
    """Return the temperature that makes the right choices of N rows likeliest: logits are to be divided by it.

    Args:
        logits_NC: one logit, or log-probability, for each row and choice.
        right_N: the number of the right choice.
    """
    chosen_N = np.arange(len(logits_NC)), np.asarray(right_N, dtype=np.int64)
    right_logits_N = logits_NC[chosen_N]

    def slope(log_temperature: float) -> float:
        """Return the derivative of the mean log-likelihood by 1 / T, which falls as 1 / T rises."""
        scaled_NC = logits_NC / np.exp(log_temperature)
        scaled_NC = scaled_NC - scaled_NC.max(axis=1, keepdims=True)
        chances_NC = np.exp(scaled_NC)
        chances_NC /= chances_NC.sum(axis=1, keepdims=True)
        return float((right_logits_N - (chances_NC * logits_NC).sum(axis=1)).mean())

    return float(np.exp(root(slope, -_GREATEST_LOG_TEMPERATURE, _GREATEST_LOG_TEMPERATURE)))


def _arrays(confidence: Sequence[float], is_right: Sequence[bool]) -> tuple[Floats, Floats]:
    return np.asarray(confidence, dtype=np.float64), np.asarray(is_right, dtype=np.float64)


def _bins(confidence_N: Floats, num_bins: int) -> NDArray[np.int64]:
    """Return the bin of each row: the upper end belongs to it, as the field has it."""
    return np.clip(np.ceil(confidence_N * num_bins).astype(np.int64) - 1, 0, num_bins - 1)


def _error(confidence_N: Floats, right_N: Floats, bin_N: NDArray[np.int64], num_bins: int) -> float:
    gaps = np.bincount(bin_N, weights=confidence_N - right_N, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(confidence_N))
