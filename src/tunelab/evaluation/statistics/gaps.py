"""How far groups of rows (languages, regions) are apart, and whether it is more than luck.

The gap is the greatest rate less the least. Of five equal groups of 50 rows each, it is above five points in nine of
ten cases: a gap alone says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import wilson_interval

FEWEST_ROWS = 10
"""Groups of fewer rows are named, not judged."""
_NUM_PERMUTATIONS = 10_000
_AT_ONCE = 1 << 19
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """One group."""

    name: str
    num_rows: int
    num_right: int
    interval: Interval | None
    """None where its rows depend on each other by session: Wilson's would be too narrow."""

    @property
    def rate(self) -> float:
        """Share of its rows that are right."""
        return self.num_right / self.num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap between the judged groups."""

    value: float
    by_luck: float
    """What 95 of 100 models without any difference between groups stay below, on these rows."""
    p: float
    """Chance that such a model is at least so far off."""
    groups: tuple[GroupRate, ...]
    too_small: tuple[GroupRate, ...]


def gap(is_right: Sequence[bool], group: Sequence[str], session: Sequence[str], *, seed: int) -> Gap | None:
    """Return the gap of rates between groups; None if fewer than two groups have ten rows.

    The null distribution permutes the groups' names: among the rows of a session that holds several groups, and among
    the whole sessions that hold one.
    """
    rates = [_rate(name, is_right, group, session) for name in dict.fromkeys(group)]
    judged = tuple(rate for rate in rates if rate.num_rows >= FEWEST_ROWS)
    if len(judged) < 2:
        return None
    names = [rate.name for rate in judged]
    rows = [row for row, name in enumerate(group) if name in names]
    right_N = np.array([is_right[row] for row in rows], dtype=np.float64)
    group_N = np.array([names.index(group[row]) for row in rows])
    seen = _gaps(group_N[None, :], right_N, len(names))[0]
    null = _null_gaps(group_N, right_N, [session[row] for row in rows], len(names), seed=seed)
    return Gap(
        value=float(seen),
        by_luck=float(np.quantile(null, 0.95)),
        p=(int((null >= seen - 1e-12).sum()) + 1) / (_NUM_PERMUTATIONS + 1),
        groups=judged,
        too_small=tuple(rate for rate in rates if rate.num_rows < FEWEST_ROWS),
    )


def _rate(name: str, is_right: Sequence[bool], group: Sequence[str], session: Sequence[str]) -> GroupRate:
    rows = [row for row, each in enumerate(group) if each == name]
    num_right = sum(bool(is_right[row]) for row in rows)
    is_independent = len({session[row] for row in rows}) == len(rows)
    interval = wilson_interval(num_right, len(rows)) if is_independent else None
    return GroupRate(name=name, num_rows=len(rows), num_right=num_right, interval=interval)


def _gaps(group_BN: Ints, right_N: Floats, num_groups: int) -> Floats:
    rates = []
    for number in range(num_groups):
        is_of_group_BN = (group_BN == number).astype(np.float64)
        rates.append(is_of_group_BN @ right_N / is_of_group_BN.sum(axis=1))
    return np.asarray(np.max(rates, axis=0) - np.min(rates, axis=0))


def _null_gaps(group_N: Ints, right_N: Floats, session: Sequence[str], num_groups: int, *, seed: int) -> Floats:
    if len(set(session)) == len(session):
        return _null_of_independent_rows(group_N, right_N, num_groups, seed=seed)
    unit_N, stratum_U, group_U = _units(group_N, session)
    order_U = np.argsort(stratum_U, kind="stable")
    draws = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // len(group_N))
    pieces = []
    for start in range(0, _NUM_PERMUTATIONS, at_once):
        num = min(at_once, _NUM_PERMUTATIONS - start)
        drawn_BU = np.argsort(stratum_U + draws.random((num, len(stratum_U))), axis=1)
        permuted_BU = np.empty_like(drawn_BU)
        permuted_BU[:, order_U] = group_U[drawn_BU]
        pieces.append(_gaps(permuted_BU[:, unit_N], right_N, num_groups))
    return np.concatenate(pieces)


def _null_of_independent_rows(group_N: Ints, right_N: Floats, num_groups: int, *, seed: int) -> Floats:
    """Return the gaps of permuted rows: how many right ones each group gets is multivariate hypergeometric."""
    sizes_G = np.bincount(group_N, minlength=num_groups)
    draws = np.random.default_rng(seed)
    num_right = int(right_N.sum())
    right_BG = draws.multivariate_hypergeometric(sizes_G, num_right, size=_NUM_PERMUTATIONS, method="marginals")
    rates_BG = right_BG / sizes_G
    return np.asarray(rates_BG.max(axis=1) - rates_BG.min(axis=1))


def _units(group_N: Ints, session: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """Return what is permuted: the unit of each row, and of each unit its stratum and group.

    A row is a unit, and its session the stratum, if the session holds several groups; else the session is a unit, and
    all of these are one stratum, number 0.
    """
    groups_of: dict[str, set[int]] = {}
    for name, number in zip(session, group_N.tolist(), strict=True):
        groups_of.setdefault(name, set()).add(number)
    strata = {name: index for index, name in enumerate((name for name in groups_of if len(groups_of[name]) > 1), 1)}
    units: dict[tuple[str, int], int] = {}
    unit_of: list[int] = []
    stratum: list[int] = []
    group: list[int] = []
    for row, (name, number) in enumerate(zip(session, group_N.tolist(), strict=True)):
        unit = units.setdefault((name, row if name in strata else -1), len(units))
        unit_of.append(unit)
        if unit == len(stratum):
            stratum.append(strata.get(name, 0))
            group.append(number)
    return np.array(unit_of), np.array(stratum), np.array(group)
