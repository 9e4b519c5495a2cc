"""Two sides that answered the same questions: each row scored, what the rows add up to, and how sure that is."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunelab.evaluation.report import ComparedRow, ComparisonSetting, Difference, Report, Totals
from tunelab.evaluation.samples import HeldOutLoss, Question, Side, UnaskedRows
from tunelab.evaluation.scorers import ScoredAnswer, perplexity, score

_NUM_RESAMPLES = 2000
_FEWEST_GROUPS = 10


def compare(
    base: Side,
    tuned: Side,
    questions: Sequence[Question],
    *,
    setting: ComparisonSetting,
    left_out: Sequence[UnaskedRows] = (),
) -> Report:
    """Return the report of two sides that answered the same questions.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    rows = tuple(
        ComparedRow(question=question, base=score(first, question), tuned=score(second, question))
        for question, first, second in zip(questions, base.answers, tuned.answers, strict=True)
    )
    groups = [row.question.group for row in rows]
    exact = [float(row.tuned.exact) - float(row.base.exact) for row in rows]
    closeness = [row.tuned.chrf - row.base.chrf for row in rows]
    return Report(
        setting=setting,
        num_sequences=tuned.loss.num_sequences,
        num_trained_tokens=tuned.loss.num_trained_tokens,
        base=_totals([row.base for row in rows], base.loss),
        tuned=_totals([row.tuned for row in rows], tuned.loss),
        exact_match=_difference(exact, groups, seed=setting.seed),
        chrf=_difference(closeness, groups, seed=setting.seed),
        rows=rows,
        left_out=tuple(left_out),
    )


def _totals(rows: Sequence[ScoredAnswer], loss: HeldOutLoss) -> Totals:
    return Totals(
        loss=loss.mean,
        perplexity=perplexity(loss.mean),
        exact_match=mean([row.exact for row in rows]),
        chrf=mean([row.chrf for row in rows]),
        stopped=mean([row.stopped for row in rows]),
        answer_tokens=mean([row.num_tokens for row in rows]),
    )


def _difference(differences: Sequence[float], groups: Sequence[str], *, seed: int) -> Difference | None:
    value = mean(differences)
    if value is None:
        return None
    low, high = paired_interval(differences, groups, seed=seed) or (None, None)
    return Difference(value=value, low=low, high=high)


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
