"""What changed prompts do to a model: rows as they are against the same rows changed, with the error of each loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunelab.evaluation.figures.answer_figures import normalised
from tunelab.evaluation.figures.figure import mean_figure
from tunelab.evaluation.figures.measure import FigureChange, compare_figures
from tunelab.evaluation.reports.report import VariantChange
from tunelab.evaluation.rows.row import EvaluatedRow
from tunelab.evaluation.statistics.distributions import two_sided_z
from tunelab.evaluation.statistics.groups import mean_interval
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import mcnemar_mid_p, tango_interval, wilson_interval
from tunelab.evaluation.variants.variant import NEUTRAL, SWAP

IsRight = Callable[[EvaluatedRow], bool | None]
AnswerOf = Callable[[EvaluatedRow], str]
Pair = tuple[EvaluatedRow, EvaluatedRow]
"""A row as it is, and changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessLoss:
    """The loss over all kinds together, which a gate names `robustness_loss`."""

    value: float
    """Mean over the kinds of the share of right answers lost."""
    interval: Interval | None
    """None of fewer than ten groups, if rows depend on each other."""
    num_rows: int
    kinds: tuple[str, ...]
    """Those that could be measured."""


def written_answer(row: EvaluatedRow) -> str:
    """Return what a row answers, case, white space and punctuation at the ends aside."""
    return "" if row.answer is None else normalised(row.answer.text)


def robustness_of(
    originals: Sequence[EvaluatedRow],
    variants: Sequence[EvaluatedRow],
    is_right: IsRight,
    *,
    kinds: Sequence[str],
    answer_of: AnswerOf = written_answer,
    seed: int,
) -> tuple[VariantChange, ...]:
    """Return what each kind of perturbation does to a model.

    Args:
        originals: rows as they are, of one task: those that were tried.
        variants: rows changed, of any kind.
        is_right: None of a row that cannot be judged.
        kinds: that were asked for; one without a row is reported with none.
        answer_of: what two answers are compared by; the label of tasks that have some.
        seed: of resampled groups.
    """
    changes = []
    for kind in kinds:
        pairs = _pairs(originals, variants, kind)
        change = _change(kind, pairs, is_right, answer_of, num_tried=len(originals), seed=seed)
        changes.append(_with_obeyed(change, pairs, answer_of) if kind == "injection" else change)
    return tuple(changes)


def robustness_loss(
    originals: Sequence[EvaluatedRow],
    variants: Sequence[EvaluatedRow],
    is_right: IsRight,
    *,
    kinds: Sequence[str],
    seed: int,
) -> RobustnessLoss | None:
    """Return the mean loss over kinds with its interval; None if no row could be judged.

    A row adds to the mean what it loses by each kind, weighted by the rows of that kind. Independent rows have the
    interval of Bonett and Price (2012): two more rows, one that loses all and one that gains all, so that rows that
    lose nothing leave a width.
    """
    lost: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    judged = {kind: _judged(_pairs(originals, variants, kind), is_right) for kind in kinds}
    measured = {kind: pairs for kind, pairs in judged.items() if pairs}
    for pairs in measured.values():
        for before, after in pairs:
            loss = (bool(is_right(before)) - bool(is_right(after))) / len(pairs) / len(measured)
            lost.setdefault(before.item.id, []).append(loss)
            groups[before.item.id] = before.item.group
    if not lost:
        return None
    values = [len(lost) * sum(losses) for losses in lost.values()]
    return RobustnessLoss(
        value=sum(values) / len(values),
        interval=_mean_loss_interval(values, list(groups.values()), seed=seed),
        num_rows=len(values),
        kinds=tuple(measured),
    )


def swaps_of(
    originals: Sequence[EvaluatedRow],
    variants: Sequence[EvaluatedRow],
    is_right: IsRight,
    *,
    kinds: Sequence[str],
    answer_of: AnswerOf = written_answer,
    seed: int,
) -> tuple[VariantChange, ...]:
    """Return what each kind of swap does to a model, next to what a double space does to the same rows.

    The arguments are those of `robustness_of`; `kinds` are as a suite names them, e.g. ``gender``.
    """
    neutral = dict(_by_id(_pairs(originals, variants, NEUTRAL)))
    changes = []
    for kind in kinds:
        pairs = _pairs(originals, variants, SWAP + kind)
        change = _change(kind, pairs, is_right, answer_of, num_tried=len(originals), seed=seed)
        changes.append(_with_noise(change, pairs, neutral, answer_of, seed=seed))
    return tuple(changes)


def _pairs(originals: Sequence[EvaluatedRow], variants: Sequence[EvaluatedRow], kind: str) -> list[Pair]:
    """Return answered rows with the same rows changed by one kind, in the order of the originals."""
    changed = {row.item.variant_of: row for row in variants if row.item.variant == kind and row.answer is not None}
    return [(row, changed[row.item.id]) for row in originals if row.answer is not None and row.item.id in changed]


def _by_id(pairs: Iterable[Pair]) -> Iterable[tuple[str, EvaluatedRow]]:
    return ((before.item.id, after) for before, after in pairs)


def _judged(pairs: Sequence[Pair], is_right: IsRight) -> list[Pair]:
    return [pair for pair in pairs if all(is_right(row) is not None for row in pair)]


def _change(
    kind: str, pairs: Sequence[Pair], is_right: IsRight, answer_of: AnswerOf, *, num_tried: int, seed: int
) -> VariantChange:
    judged = _judged(pairs, is_right)
    broken = [before.item.id for before, after in judged if is_right(before) and not is_right(after)]
    right = _compared(judged, lambda row: float(bool(is_right(row))), seed=seed)
    return VariantChange(
        kind=kind,
        num_rows=len(pairs),
        num_tried=num_tried,
        loss=None if right.value is None else 0.0 - right.value,
        interval=_turned(right.interval),
        p=right.p,
        flips=sum(answer_of(before) != answer_of(after) for before, after in pairs),
        example=broken[0] if broken else "",
    )


def _compared(pairs: Sequence[Pair], score: Callable[[EvaluatedRow], float], *, seed: int) -> FigureChange:
    figure = mean_figure("right", title="", meaning="", better="higher", of=score, is_share=True)
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    (change,) = compare_figures([figure], before, after, [row.item.group for row in before], seed=seed)
    return change


def _turned(interval: Interval | None) -> Interval | None:
    """Return the interval of a loss from that of a gain."""
    return None if interval is None else replace(interval, low=0.0 - interval.high, high=0.0 - interval.low)


def _with_obeyed(change: VariantChange, pairs: Sequence[Pair], answer_of: AnswerOf) -> VariantChange:
    """Add how often the answer that an injection asks for is given, of rows that do not give it anyhow."""
    open_rows = [
        (answer_of(after), normalised(after.item.variant_note))
        for before, after in pairs
        if normalised(answer_of(before)) != normalised(after.item.variant_note)
    ]
    if not open_rows:
        return change
    obeyed = sum(normalised(answer) == requested for answer, requested in open_rows)
    groups = {before.item.group for before, _ in pairs}
    interval = wilson_interval(obeyed, len(open_rows)) if len(groups) == len(pairs) else None
    return replace(change, obeyed=obeyed / len(open_rows), obeyed_interval=interval)


def _with_noise(
    change: VariantChange,
    pairs: Sequence[Pair],
    neutral: Mapping[str, EvaluatedRow],
    answer_of: AnswerOf,
    *,
    seed: int,
) -> VariantChange:
    """Add how many answers the neutral edit changes of the same rows, and by how much a swap changes more."""
    both = [(before, neutral[before.item.id], after) for before, after in pairs if before.item.id in neutral]
    if not both:
        return change
    flips = [
        (answer_of(before) != answer_of(plain), answer_of(before) != answer_of(after)) for before, plain, after in both
    ]
    only_swap = sum(swap and not plain for plain, swap in flips)
    only_neutral = sum(plain and not swap for plain, swap in flips)
    groups = [before.item.group for before, _, _ in both]
    excess = [float(swap) - float(plain) for plain, swap in flips]
    is_independent = len(set(groups)) == len(groups)
    return replace(
        change,
        neutral_flips=sum(plain for plain, _ in flips),
        num_neutral=len(flips),
        excess_flips=sum(excess) / len(excess),
        excess_interval=tango_interval(only_swap, only_neutral, len(flips))
        if is_independent
        else mean_interval(excess, groups, seed=seed),
        excess_p=mcnemar_mid_p(only_swap, only_neutral) if is_independent else None,
        probability_change=_probability_change(pairs),
    )


def _probability_change(pairs: Sequence[Pair]) -> float | None:
    """Return by how much the probability of the answered label changes on average, whichever way; None without any."""
    changes = []
    for before, after in pairs:
        if before.choice_log_probs and len(before.choice_log_probs) == len(after.choice_log_probs):
            old, new = np.exp(before.choice_log_probs), np.exp(after.choice_log_probs)
            changes.append(abs(float(new[old.argmax()] - old.max())))
    return sum(changes) / len(changes) if changes else None


def _mean_loss_interval(values: Sequence[float], groups: Sequence[str], *, seed: int) -> Interval | None:
    if len(set(groups)) < len(groups):
        return mean_interval(values, groups, seed=seed)
    padded = np.array([*values, 1.0, -1.0])
    spread = two_sided_z(0.95) * float(padded.std()) / len(padded) ** 0.5
    low, high = max(-1.0, float(padded.mean()) - spread), min(1.0, float(padded.mean()) + spread)
    return Interval(low=low, high=high, method="Bonett and Price")
