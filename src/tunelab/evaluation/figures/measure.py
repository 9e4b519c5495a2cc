"""Figures of one model, or of two over the same rows, with their intervals: all from the same resamples.

Legend: N rows, G groups, F summands of all figures, B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tunelab.evaluation.figures.figure import Figure, Floats
from tunelab.evaluation.statistics.distributions import student_quantile
from tunelab.evaluation.statistics.groups import FEW_GROUPS, FEWEST_GROUPS, NUM_RESAMPLES, group_sums, resampled_sums
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import mcnemar_mid_p, tango_interval, wilson_interval

Row = TypeVar("Row")
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure of one model."""

    name: str
    value: float | None
    """None if there was nothing to measure."""
    interval: Interval | None
    """None of fewer than ten groups, unless rows are right or wrong and independent."""
    num_rows: int
    num_groups: int

    @property
    def is_independent(self) -> bool:
        """Whether each row is a group of its own."""
        return self.num_rows == self.num_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureChange:
    """A figure of two models over the same rows."""

    name: str
    before: Measured
    after: Measured
    value: float | None
    """After minus before."""
    interval: Interval | None
    p: float | None
    """Chance of so great a difference if there were none, two-sided; None without an interval."""


def measure(figures: Sequence[Figure[Row]], rows: Sequence[Row], groups: Sequence[str], *, seed: int) -> list[Measured]:
    """Return each figure of a model's rows with its 95 % interval."""
    (samples,) = _samples(figures, [rows], groups, seed=seed)
    return [sample.measured for sample in samples]


def compare_figures(
    figures: Sequence[Figure[Row]], before: Sequence[Row], after: Sequence[Row], groups: Sequence[str], *, seed: int
) -> list[FigureChange]:
    """Return each figure of two models that answered the same rows, in the same order, and how it changed."""
    old, new = _samples(figures, [before, after], groups, seed=seed)
    return [_change(*pair) for pair in zip(old, new, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """A figure of one model, with what its interval is made of."""

    is_share: bool
    measured: Measured
    table_NF: Floats
    values_B: Floats
    """Of every resample; empty of fewer than ten groups."""


Summands = Callable[[Row], tuple[float, ...]]
Tables = Mapping[Summands[Row], Floats]
"""Of one model, by summands (N × F, or B × F): figures that are made of the same ones share them."""


def _samples(
    figures: Sequence[Figure[Row]], models: Sequence[Sequence[Row]], groups: Sequence[str], *, seed: int
) -> list[list[_Sample]]:
    """Return the samples of each model's rows, all from the same draws of groups."""
    if not groups:
        nothing = np.empty((0, 0))
        return [[_sample(figure, nothing, np.empty(0), num_groups=0) for figure in figures] for _ in models]
    num_groups = len(set(groups))
    summands = dict.fromkeys(figure.summands for figure in figures)
    tables = [{of: np.array([of(row) for row in rows], dtype=np.float64) for of in summands} for rows in models]
    needed = dict.fromkeys(figure.summands for figure in figures if not (figure.is_share and num_groups == len(groups)))
    resampled = _resampled(tables, list(needed), groups, seed=seed)
    return [
        [
            _sample(
                figure,
                table[figure.summands],
                figure.value(sums[figure.summands]) if figure.summands in sums else np.empty(0),
                num_groups=num_groups,
            )
            for figure in figures
        ]
        for table, sums in zip(tables, resampled, strict=True)
    ]


def _resampled(
    tables: Sequence[Tables[Row]], needed: Sequence[Summands[Row]], groups: Sequence[str], *, seed: int
) -> list[Tables[Row]]:
    """Return the sums of every resample of each model; none of fewer than ten groups."""
    if not needed or len(set(groups)) < FEWEST_GROUPS:
        return [{} for _ in tables]
    columns = [table[of] for table in tables for of in needed]
    ends = np.cumsum([column.shape[1] for column in columns])[:-1]
    parts = np.split(resampled_sums(group_sums(np.hstack(columns), groups), seed=seed), ends, axis=1)
    return [dict(zip(needed, parts[start:], strict=False)) for start in range(0, len(parts), len(needed))]


def _sample(figure: Figure[Row], table_NF: Floats, values_B: Floats, *, num_groups: int) -> _Sample:
    num_rows = len(table_NF)
    value = float(figure.value(table_NF.sum(axis=0))) if num_rows else np.nan
    if figure.is_share and num_rows == num_groups and num_rows:
        right, judged = table_NF.sum(axis=0)
        interval = wilson_interval(round(right), round(judged))
    else:
        interval = _of_resamples(value, values_B, num_groups)
    measured = Measured(
        name=figure.name,
        value=value if np.isfinite(value) else None,
        interval=interval,
        num_rows=num_rows,
        num_groups=num_groups,
    )
    return _Sample(is_share=figure.is_share, measured=measured, table_NF=table_NF, values_B=values_B)


def _change(old: _Sample, new: _Sample) -> FigureChange:
    before, after = old.measured, new.measured
    value = None if before.value is None or after.value is None else after.value - before.value
    interval, p = None, None
    flips_N = _flips(old, new) if old.is_share and value is not None else np.empty(0)
    if value is not None and old.is_share and (before.is_independent or len(np.unique(flips_N)) == 1):
        # groups whose rows all say the same count as one row each: resampling would give an interval without width
        flips_N = flips_N if before.is_independent else flips_N[: before.num_groups]
        better, worse = int((flips_N > 0).sum()), int((flips_N < 0).sum())
        interval, p = tango_interval(better, worse, len(flips_N)), mcnemar_mid_p(better, worse)
    elif value is not None:
        differences_B = new.values_B - old.values_B
        interval = _of_resamples(value, differences_B, before.num_groups)
        p = _two_sided(differences_B) if interval is not None else None
    return FigureChange(name=before.name, before=before, after=after, value=value, interval=interval, p=p)


def _flips(old: _Sample, new: _Sample) -> Floats:
    """Return 1, 0 or -1 of each row that both judge: whether it got right, stayed as it was, or got wrong."""
    is_judged_N = (old.table_NF[:, 1] > 0) & (new.table_NF[:, 1] > 0)
    return np.asarray((new.table_NF[:, 0] - old.table_NF[:, 0])[is_judged_N])


def _of_resamples(value: float, values_B: Floats, num_groups: int) -> Interval | None:
    """Return the interval of a figure: percentiles, which of few groups are too narrow, and there Student's t.

    None if all groups say the same: resampling them would give a certainty that no number of rows has.
    """
    finite_B = values_B[np.isfinite(values_B)]
    if not len(finite_B) or not np.isfinite(value) or np.ptp(finite_B) <= _ROUNDING * max(1.0, abs(value)):
        return None
    if num_groups >= FEW_GROUPS:
        low, high = np.percentile(finite_B, [2.5, 97.5])
        method = f"{NUM_RESAMPLES:,} resamples of {num_groups:,} groups"
        return Interval(low=float(low), high=float(high), method=method)
    error = float(finite_B.std()) * math.sqrt(num_groups / (num_groups - 1))
    spread = student_quantile(0.975, num_groups - 1) * error
    return Interval(low=value - spread, high=value + spread, method=f"Student's t over {num_groups} groups")


def _two_sided(differences_B: Floats) -> float:
    """Return twice the share of resamples on the rarer side of zero; never zero, since it is one of so many draws."""
    finite_B = differences_B[np.isfinite(differences_B)]
    rarer = min(int((finite_B <= 0).sum()), int((finite_B >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(finite_B) + 1))
