"""Two sides that answered the same questions: each row scored, what the rows add up to, and how sure that is."""

import math
from collections.abc import Sequence

from tunelab.evaluation.report import ComparedRow, ComparisonSetting, Difference, Report, Totals
from tunelab.evaluation.samples import HeldOutLoss, Question, Side, UnaskedRows
from tunelab.evaluation.scorers import ScoredAnswer, perplexity, score
from tunelab.evaluation.statistics.groups import mean_interval
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import tango_interval


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
    closeness = [row.tuned.chrf - row.base.chrf for row in rows]
    return Report(
        setting=setting,
        num_sequences=tuned.loss.num_sequences,
        num_trained_tokens=tuned.loss.num_trained_tokens,
        base=_totals([row.base for row in rows], base.loss),
        tuned=_totals([row.tuned for row in rows], tuned.loss),
        exact_match=_rate_difference(rows, groups, seed=setting.seed),
        chrf=_mean_difference(closeness, groups, seed=setting.seed),
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


def _rate_difference(rows: Sequence[ComparedRow], groups: Sequence[str], *, seed: int) -> Difference | None:
    """Return the difference of the shares of exact answers.

    Rows that are groups of their own get Tango's interval. So do groups whose rows all say the same, each as one row:
    resampling them would give an interval without width, a certainty that few rows do not have.
    """
    values = [float(row.tuned.exact) - float(row.base.exact) for row in rows]
    num_groups = len(set(groups))
    if num_groups < len(groups) and len(set(values)) > 1:
        return _mean_difference(values, groups, seed=seed)
    independent = values[:num_groups]
    interval = tango_interval(independent.count(1.0), independent.count(-1.0), num_groups)
    return _with_interval(values, interval)


def _mean_difference(values: Sequence[float], groups: Sequence[str], *, seed: int) -> Difference | None:
    return _with_interval(values, mean_interval(values, groups, seed=seed)) if values else None


def _with_interval(values: Sequence[float], interval: Interval | None) -> Difference | None:
    value = mean(values)
    if value is None:
        return None
    if interval is None:
        return Difference(value=value, low=None, high=None)
    return Difference(value=value, low=interval.low, high=interval.high, method=interval.method)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of no values."""
    return math.fsum(values) / len(values) if values else None
