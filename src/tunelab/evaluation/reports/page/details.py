"""What a task's details are drawn from: reliability diagrams, confusions, changed prompts and groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunelab.evaluation.reports.numbers import in_words, interval_in_words
from tunelab.evaluation.reports.page.strips import Axis, Strip
from tunelab.evaluation.reports.report import Calibration, Confusion, TaskReport, VariantChange
from tunelab.evaluation.statistics.f1_sums import NO_LABEL
from tunelab.evaluation.statistics.gaps import Gap, GroupRate

_SIDE = 200
"""Width and height of a reliability diagram, in the units of its own."""
_LEAST_RADIUS, _GREATEST_RADIUS = 2.5, 9.0
_MOST_LABELS = 12
_MOST_PAIRS = 20
_SHADES = 10
_WHOLE = Axis(low=0.0, high=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A bin of a reliability diagram."""

    x: float
    y: float
    radius: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """The reliability of one model's confidence."""

    model: str
    side: int
    dots: tuple[Dot, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How often a true label got an answer."""

    count: int
    shade: int
    """0 to 10, by its share of the rows of the true label."""
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionTable:
    """True labels against answers of one model; of many labels, only the commonest mistakes."""

    model: str
    answers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    mistakes: tuple[tuple[str, str, int], ...]
    """True label, answer, how often."""
    num_labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantLine:
    """One kind of changed prompts, of both models."""

    kind: str
    rows: str
    before: str
    after: str
    flips: str
    example: str
    """The anchor of a row; empty if none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One group of rows of a field."""

    name: str
    rate: str
    detail: str
    strip: Strip


def diagrams(task: TaskReport, names: tuple[str, str]) -> list[Diagram]:
    """Return the reliability diagrams of both models."""
    sides = zip(("before", "after"), names, strict=True)
    return [_diagram(name, task.calibration[side]) for side, name in sides if side in task.calibration]


def confusions(task: TaskReport, names: tuple[str, str]) -> list[ConfusionTable]:
    """Return the confusions of both models."""
    sides = zip(("before", "after"), names, strict=True)
    return [_confusion(name, task.confusion[side]) for side, name in sides if side in task.confusion]


def variant_lines(changes: Mapping[str, Sequence[VariantChange]]) -> list[VariantLine]:
    """Return one line for each kind of changed prompts that either model was asked."""
    of_kind = {side: {each.kind: each for each in changes.get(side, ())} for side in ("before", "after")}
    kinds = dict.fromkeys(each.kind for side in ("after", "before") for each in changes.get(side, ()))
    return [_variant(kind, of_kind["before"].get(kind), of_kind["after"].get(kind)) for kind in kinds]


def gap_in_words(found: Gap) -> str:
    """Return how far groups are apart, next to luck."""
    return (
        f"{in_words('bias_gap', found.value)} between the best and the worst; "
        f"without any difference, up to {in_words('bias_gap', found.by_luck)} by luck on these rows (p {found.p:.2g})"
    )


def group_lines(found: Gap) -> list[GroupLine]:
    """Return the groups, the worst first; those that are too small come last."""
    return [*(_group(each) for each in sorted(found.groups, key=lambda each: each.rate)), *map(_small, found.too_small)]


def _diagram(model: str, calibration: Calibration) -> Diagram:
    most = max((each.num_rows for each in calibration.bins), default=1)
    dots = []
    for each in calibration.bins:
        rate = each.num_right / each.num_rows
        radius = max(_LEAST_RADIUS, _GREATEST_RADIUS * math.sqrt(each.num_rows / most))
        words = f"confidence {each.confidence:.0%}, right {rate:.0%} of {each.num_rows:,} rows"
        x, y = round(each.confidence * _SIDE, 1), round((1 - rate) * _SIDE, 1)
        dots.append(Dot(x=x, y=y, radius=round(radius, 1), words=words))
    return Diagram(model=model, side=_SIDE, dots=tuple(dots), sentences=tuple(_calibration_in_words(calibration)))


def _calibration_in_words(calibration: Calibration) -> Iterator[str]:
    error, brier = calibration.error, calibration.brier
    yield f"ECE {error.value:.3f}; by luck up to {error.by_luck:.3f} (p {error.p:.2g})"
    yield (
        f"Brier score {brier.score:.3f} = {brier.miscalibration:.3f} miscalibration"
        f" \N{MINUS SIGN} {brier.discrimination:.3f} discrimination + {brier.uncertainty:.3f} uncertainty"
    )
    yield f"At temperature {calibration.temperature:.2f}, ECE {calibration.error_at_temperature:.3f} (cross-fitted)"
    yield f"{in_words('off_list', calibration.off_list)} of the probability is on answers that are no label"


def _confusion(model: str, confusion: Confusion) -> ConfusionTable:
    answers = (*confusion.labels, NO_LABEL)
    is_small = len(confusion.labels) <= _MOST_LABELS
    rows = [(label, tuple(_cells(place, counts))) for place, (label, counts) in enumerate(_counted(confusion))]
    return ConfusionTable(
        model=model,
        answers=answers,
        rows=tuple(rows) if is_small else (),
        mistakes=() if is_small else tuple(_mistakes(confusion, answers)),
        num_labels=len(confusion.labels),
    )


def _counted(confusion: Confusion) -> Iterator[tuple[str, tuple[int, ...]]]:
    return zip(confusion.labels, confusion.counts, strict=True)


def _cells(place: int, counts: Sequence[int]) -> Iterator[Cell]:
    total = max(sum(counts), 1)
    for column, count in enumerate(counts):
        yield Cell(count=count, shade=math.ceil(_SHADES * count / total), is_right=column == place)


def _mistakes(confusion: Confusion, answers: Sequence[str]) -> list[tuple[str, str, int]]:
    found = [
        (label, answers[column], count)
        for place, (label, counts) in enumerate(_counted(confusion))
        for column, count in enumerate(counts)
        if count and column != place
    ]
    return sorted(found, key=lambda each: -each[2])[:_MOST_PAIRS]


def _variant(kind: str, before: VariantChange | None, after: VariantChange | None) -> VariantLine:
    counted = after or before
    assert counted is not None  # the kind is of one of them
    return VariantLine(
        kind=kind,
        rows=f"{counted.num_rows:,} of {counted.num_tried:,}",
        before=_loss(before),
        after=_loss(after),
        flips="–" if after is None else f"{after.flips:,}",
        example=after.example if after is not None else "",
    )


def _loss(change: VariantChange | None) -> str:
    if change is None or change.loss is None:
        return "–"
    words = in_words("robustness_loss", change.loss)
    return words if change.interval is None else f"{words} ({interval_in_words('robustness_loss', change.interval)})"


def _group(group: GroupRate) -> GroupLine:
    rate, within = in_words("accuracy", group.rate), interval_in_words("accuracy", group.interval)
    detail = f"{group.num_right:,} of {group.num_rows:,}" + (f", {within}" if group.interval is not None else "")
    return GroupLine(
        name=group.name,
        rate=rate,
        detail=detail,
        strip=Strip(
            description=f"{group.name}: {rate}, {detail}",
            spans=_WHOLE.spans(group.interval, "after"),
            dots=(_WHOLE.at(group.rate, "after"),),
        ),
    )


def _small(group: GroupRate) -> GroupLine:
    detail = f"{group.num_right:,} of {group.num_rows:,}: too few to be judged"
    return GroupLine(name=group.name, rate="–", detail=detail, strip=Strip(description=detail))
