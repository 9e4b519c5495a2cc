"""How good answers are. No data gives None, which says "no result"; it never gives 0.0."""

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunelab.errors import MissingExtraError

if TYPE_CHECKING:
    from sacrebleu.metrics import CHRF

_NUM_RESAMPLES = 2000
_FEWEST_GROUPS = 10


def exact_match(answer: str, reference: str) -> bool:
    """Return True where answer and reference are the same text, white space around them aside."""
    return answer.strip() == reference.strip()


def chrf(answer: str, reference: str) -> float:
    """Return sacrebleu's sentence chrF2 (0 to 100): how many runs of 1 to 6 characters the two texts share.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    if exact_match(answer, reference):
        return 100.0  # also for texts too short to hold a run
    return float(_chrf().sentence_score(answer, [reference]).score)


def perplexity(loss: float | None) -> float | None:
    """Return exp(loss) of a mean loss in nats; None without a loss, or where the number would not be finite."""
    if loss is None or not math.isfinite(loss):
        return None
    try:
        return math.exp(loss)
    except OverflowError:
        return None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of no values."""
    return math.fsum(values) / len(values) if values else None


def paired_interval(differences: Sequence[float], groups: Sequence[str], *, seed: int) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a mean difference.

    Args:
        differences: tuned minus base, one per row.
        groups: rows of one group (a conversation, a session) resemble each other, so whole groups are drawn.
        seed: of the draws.

    Returns:
        Lower and upper end; None with fewer than ten groups, which say too little about spread.
    """
    sums: dict[str, list[float]] = {}
    for difference, group in zip(differences, groups, strict=True):
        sums.setdefault(group, []).append(difference)
    if len(sums) < _FEWEST_GROUPS:
        return None
    sums_G = np.array([math.fsum(values) for values in sums.values()])
    counts_G = np.array([len(values) for values in sums.values()])
    low, high = np.percentile(_resampled_means(sums_G, counts_G, seed=seed), [2.5, 97.5])
    return float(low), float(high)


def _resampled_means(sums_G: NDArray[np.float64], counts_G: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    draws = np.random.default_rng(seed)
    num_groups = len(sums_G)
    means = np.empty(_NUM_RESAMPLES)
    for index in range(_NUM_RESAMPLES):  # one by one: all at once would be resamples × groups in memory
        drawn = draws.integers(0, num_groups, num_groups)
        means[index] = sums_G[drawn].sum() / counts_G[drawn].sum()
    return means


@cache
def _chrf() -> "CHRF":
    try:
        from sacrebleu.metrics import CHRF
    except ImportError as error:
        raise MissingExtraError("sacrebleu", extra="train") from error
    return CHRF()
