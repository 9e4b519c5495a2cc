"""What judgements add up to, and what they are worth.

A win counts only if the judge says the same in both orders; else the row is a tie. Next to it are the figures of the
judge itself: how often the order decides, how often it says the same twice, and how far it agrees with people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tunelab.evaluation.judging.asks import Ask, JudgedRow
from tunelab.evaluation.judging.calls import JudgeAnswers
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.length_control import controlled_interval, controlled_win_rate
from tunelab.evaluation.judging.ratings import Rating, human_values
from tunelab.evaluation.judging.rubric import Criterion
from tunelab.evaluation.statistics.groups import mean_interval
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.kappa import cohen_kappa
from tunelab.evaluation.statistics.proportions import tango_interval

FEWEST_HUMAN_RATINGS = 30
"""With fewer, a judge is unchecked."""
_NUM_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a judge agrees with people."""

    num_rows: int
    """Rows that both judged."""
    kappa: float | None = None
    """Cohen's, disagreements weighed by the square of their distance; None if the judge is unchecked, or one says the
    same of all rows."""
    interval: Interval | None = None

    @property
    def is_checked(self) -> bool:
        """Whether there are enough ratings of people."""
        return self.num_rows >= FEWEST_HUMAN_RATINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFigures:
    """One criterion, by which the answers of two models were compared."""

    criterion: str
    num_rows: int
    """Rows with a judgement in both orders, or with equal answers."""
    wins: int
    """Of the later model, in both orders."""
    losses: int
    ties: int
    """Equal answers among them."""
    win_rate: float | None
    """Share of rows won, ties as half."""
    interval: Interval | None
    controlled_win_rate: float | None
    """What it would be if both answers were equally long."""
    controlled_interval: Interval | None
    flip_rate: float | None
    """Share of rows that were asked in which the other order gives another answer."""
    first_place_share: float | None
    """Share of decided calls that the answer shown first wins: 0.5 of a judge to whom the order means nothing."""
    repeat_rate: float | None
    """Share of calls that give the same when they are made again."""
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFigures:
    """One criterion, by which each answer was rated by itself."""

    criterion: str
    num_rows: int
    before: float | None
    """Mean rating; None if only the later model was rated."""
    after: float | None
    difference: float | None
    interval: Interval | None
    """Of the difference; of the later model's rating if it is the only one."""
    repeat_rate: float | None
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """All that a judge said of two models' answers."""

    model: str
    host: str
    pairs: tuple[PairFigures, ...] = ()
    ratings: tuple[RatingFigures, ...] = ()
    num_calls: int = 0
    num_equal: int = 0
    """Rows with equal answers, which need no judge."""
    num_without_judgement: int = 0
    """Calls to which the judge gave no answer, or none of the kind asked for. They count nowhere."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """Calls without any answer, by reason."""
    other_models: Mapping[str, int] = field(default_factory=dict)
    """Names under which the endpoint answered though another was asked for, with the number of calls."""
    is_same_family: bool = False
    """Whether judge and judged seem to be of one family by their names: judges prefer their own kind."""

    @property
    def by_criterion(self) -> tuple[PairFigures | RatingFigures, ...]:
        """What was judged, a criterion each."""
        return (*self.pairs, *self.ratings)


def judge_report(
    config: JudgeConfig,
    criteria: Sequence[Criterion],
    rows: Sequence[JudgedRow],
    asks: Sequence[Ask],
    judged: JudgeAnswers,
    *,
    ratings: Sequence[Rating] = (),
    base_model: str = "",
    seed: int,
) -> JudgeReport:
    """Return the figures of judgements.

    Args:
        config: of the judge.
        criteria: what was asked.
        rows: what was judged.
        asks: of `plan_asks` over the same rows.
        judged: of `judge` over the same calls.
        ratings: of people, over these rows or others.
        base_model: of the models that are judged, by name.
        seed: of resamples.
    """
    values = _Values(asks, judged)
    names = Counter(each.model for each in judged.judgements.values())
    compared, rated = (criteria, ()) if config.pairwise else ((), criteria)
    return JudgeReport(
        model=config.model,
        host=config.host,
        pairs=tuple(_pair_figures(each, rows, values, ratings, seed=seed) for each in compared),
        ratings=tuple(_rating_figures(each, rows, values, ratings, seed=seed) for each in rated),
        num_calls=len(asks),
        num_equal=sum(row.is_equal for row in rows) if config.pairwise else 0,
        num_without_judgement=len(asks) - len(values),
        faults=dict(sorted(judged.faults.items())),
        other_models={name: count for name, count in sorted(names.items()) if name not in ("", config.model)},
        is_same_family=bool(_family(config.model)) and _family(config.model) == _family(base_model),
    )


class _Values:
    """What the judge said, by item, criterion, what was shown and repeat."""

    def __init__(self, asks: Sequence[Ask], judged: JudgeAnswers) -> None:
        self._values: dict[tuple[str, str, str, int], int] = {}
        for ask in asks:
            judgement = judged.judgements.get(ask.key)
            if judgement is not None and judgement.value is not None:
                self._values[ask.row.item.id, ask.criterion.name, ask.shown, ask.repeat] = judgement.value

    def __len__(self) -> int:
        return len(self._values)

    def get(self, row: JudgedRow, criterion: Criterion, shown: str, *, repeat: int = 0) -> int | None:
        return self._values.get((row.item.id, criterion.name, shown, repeat))

    def repeat_rate(self, rows: Sequence[JudgedRow], criterion: Criterion, shown: str) -> float | None:
        twice = [(self.get(row, criterion, shown), self.get(row, criterion, shown, repeat=1)) for row in rows]
        return _share([first == again for first, again in twice if first is not None and again is not None])


def _pair_figures(
    criterion: Criterion, rows: Sequence[JudgedRow], values: _Values, ratings: Sequence[Rating], *, seed: int
) -> PairFigures:
    outcomes: dict[str, int] = {}
    judged_rows, flips, first_wins = [], [], []
    for row in rows:
        one, other = values.get(row, criterion, "before first"), values.get(row, criterion, "after first")
        if row.is_equal:
            outcomes[row.item.id] = 0
        elif one is None or other is None:
            continue
        else:
            outcomes[row.item.id] = one if one == other else 0
            flips.append(one != other)
            # the answer shown first wins if the earlier model does when shown first, the later one when it is
            first_wins += [won for won, value in ((one == -1, one), (other == 1, other)) if value]
        judged_rows.append(row)
    wins = [(outcomes[row.item.id] + 1) / 2 for row in judged_rows]
    lengths = [_length_difference(row) for row in judged_rows]
    groups = [row.item.group for row in judged_rows]
    count = Counter(outcomes.values())
    interval = _win_interval(wins, groups, seed=seed)
    return PairFigures(
        criterion=criterion.name,
        num_rows=len(judged_rows),
        wins=count[1],
        losses=count[-1],
        ties=count[0],
        win_rate=_share(wins),
        interval=interval,
        controlled_win_rate=controlled_win_rate(wins, lengths),
        controlled_interval=interval if len(set(wins)) < 2 else controlled_interval(wins, lengths, groups, seed=seed),
        flip_rate=_share(flips),
        first_place_share=_share(first_wins),
        repeat_rate=values.repeat_rate(rows, criterion, "before first"),
        agreement=_agreement(outcomes, human_values(rows, criterion, ratings), seed=seed),
    )


def _rating_figures(
    criterion: Criterion, rows: Sequence[JudgedRow], values: _Values, ratings: Sequence[Rating], *, seed: int
) -> RatingFigures:
    is_pair = any(row.before is not None for row in rows)
    rated = []
    for row in rows:
        before, after = values.get(row, criterion, "before"), values.get(row, criterion, "after")
        if after is not None and (before is not None or not is_pair):
            rated.append((row, before, after))
    earlier = [before for _, before, _ in rated if before is not None]
    later = [after for _, _, after in rated]
    compared = [float(after - (before or 0)) for _, before, after in rated]
    after_of = {row.item.id: after for row, _, after in rated}
    alone = [JudgedRow(item=row.item, before=None, after=row.after) for row in rows]
    return RatingFigures(
        criterion=criterion.name,
        num_rows=len(rated),
        before=_share(earlier),
        after=_share(later),
        difference=_share(compared) if is_pair else None,
        interval=_mean_interval(compared, [row.item.group for row, _, _ in rated], seed=seed),
        repeat_rate=values.repeat_rate(rows, criterion, "after"),
        agreement=_agreement(after_of, human_values(alone, criterion, ratings), seed=seed),
    )


def _agreement(judge: Mapping[str, int], people: Mapping[str, int], *, seed: int) -> Agreement:
    both = sorted(judge.keys() & people.keys())
    if len(both) < FEWEST_HUMAN_RATINGS:
        return Agreement(num_rows=len(both))
    first, second = [judge[item] for item in both], [people[item] for item in both]
    kappa = cohen_kappa(first, second, is_ordered=True)
    if kappa is None:
        return Agreement(num_rows=len(both))
    pairs_N2 = np.array([first, second]).T
    draws, kappas = np.random.default_rng(seed), []
    for _ in range(_NUM_RESAMPLES):
        some = pairs_N2[draws.integers(0, len(both), len(both))]
        again = cohen_kappa(some[:, 0].tolist(), some[:, 1].tolist(), is_ordered=True)
        kappas.append(1.0 if again is None else again)  # both said one and the same of all
    low, high = (float(end) for end in np.quantile(kappas, [0.025, 0.975]))
    method = f"{_NUM_RESAMPLES:,} resamples of {len(both):,} rows"
    interval = Interval(low=low, high=high, method=method) if low < high else None
    return Agreement(num_rows=len(both), kappa=kappa, interval=interval)


def _win_interval(wins: Sequence[float], groups: Sequence[str], *, seed: int) -> Interval | None:
    """Return the interval of a win rate: Tango's if rows are independent or groups all say the same, each as one row.

    Resamples of rows that all say the same would give an interval without width.
    """
    num_groups = len(set(groups))
    if num_groups < len(groups) and len(set(wins)) > 1:
        return mean_interval(wins, groups, seed=seed)
    if not wins:
        return None
    independent = wins[:num_groups]
    of_difference = tango_interval(independent.count(1.0), independent.count(0.0), num_groups)
    return of_difference and replace(of_difference, low=(of_difference.low + 1) / 2, high=(of_difference.high + 1) / 2)


def _mean_interval(values: Sequence[float], groups: Sequence[str], *, seed: int) -> Interval | None:
    """Return the interval of a mean; None if all values are the same, of which resamples know no spread."""
    return mean_interval(values, groups, seed=seed) if len(set(values)) > 1 else None


def _length_difference(row: JudgedRow) -> float:
    return float(len(row.after.text) - len(row.before.text)) if row.before is not None else 0.0


def _share(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _family(model: str) -> str:
    """Return the letters that the last part of a model's name begins with, in small ones: ``qwen`` of Qwen/Qwen3-4B."""
    found = re.match("[a-z]+", model.rstrip("/").rpartition("/")[2].lower())
    return found[0] if found else ""
