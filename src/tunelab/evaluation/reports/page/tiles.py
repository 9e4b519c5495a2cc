"""The four tiles of the first screen: the task, what got worst, general ability, speed and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunelab.evaluation.figures.measure import FigureChange, Measured
from tunelab.evaluation.reports.numbers import (
    bytes_in_words,
    difference_in_words,
    in_words,
    interval_in_words,
    is_share,
)
from tunelab.evaluation.reports.page.strips import Axis, Strip, axis_over
from tunelab.evaluation.reports.report import LatencyFigures, Report, TaskReport
from tunelab.evaluation.reports.words import column_names, first_change, gain, general_in_words, title_of

_MOST_LINES = 3
_WHOLE = Axis(low=-0.03, high=1.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLine:
    """A line of a tile."""

    name: str
    value: str
    detail: str = ""
    strip: Strip | None = None
    kind: str = ""
    """Of the mark next to the name: ``before``, ``after``, ``other``, ``worse``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile; without lines, a sentence says why."""

    title: str
    lines: tuple[TileLine, ...]
    note: str = ""


def tiles(report: Report) -> list[Tile]:
    """Return the four tiles."""
    return [*_task_tiles(report), _worst(report), _general(report), _speed(report)]


def _task_tiles(report: Report) -> Iterator[Tile]:
    """Yield the tile of the tasks' figures; of several tasks, it shows one line for each."""
    measured = [(task, change) for task in report.tasks if (change := first_change(task)) is not None]
    if len(measured) == 1:
        task, change = measured[0]
        yield Tile(title=title_of(task, change.name), lines=tuple(_model_lines(report, task, change)))
        return
    lines = [_task_line(task, change) for task, change in measured[:_MOST_LINES]]
    left_out = len(measured) - len(lines)
    note = "" if measured else "No row could be scored."
    yield Tile(title="Tasks", lines=tuple(lines), note=f"{left_out:,} more below" if left_out > 0 else note)


def _model_lines(report: Report, task: TaskReport, change: FigureChange) -> Iterator[TileLine]:
    others = [(each.role, each.figures[task.name]) for each in report.others if task.name in each.figures]
    before, after = column_names(report)
    models = [(before, change.before, "before"), *((role, figure, "other") for role, figure in others)]
    models.append((after, change.after, "after"))
    axis = _axis(change.name, [figure for _, figure, _ in models])
    for name, figure, kind in models:
        within = interval_in_words(change.name, figure.interval)
        value = in_words(change.name, figure.value)
        yield TileLine(
            name=name,
            value=value,
            detail=within if figure.interval is not None else "no interval",
            strip=_strip(axis, [(figure, kind)], f"{name}: {value} ({within})"),
            kind=kind,
        )


def _task_line(task: TaskReport, change: FigureChange) -> TileLine:
    before, after = in_words(change.name, change.before.value), in_words(change.name, change.after.value)
    axis = _axis(change.name, [change.before, change.after])
    return TileLine(
        name=task.name,
        value=after,
        detail=f"{title_of(task, change.name)}, {before} before",
        strip=_strip(axis, [(change.before, "before"), (change.after, "after")], f"{before} before, {after} after"),
    )


def _axis(name: str, figures: list[Measured]) -> Axis:
    """Return one axis for all models: a share's goes from 0 to 100 %, so that no small change looks great."""
    if is_share(name):
        return _WHOLE
    return axis_over([figure.value for figure in figures], *(figure.interval for figure in figures))


def _strip(axis: Axis, figures: list[tuple[Measured, str]], description: str) -> Strip:
    return Strip(
        description=description,
        spans=tuple(span for figure, kind in figures for span in axis.spans(figure.interval, kind)),
        dots=tuple(axis.at(figure.value, kind) for figure, kind in figures if figure.value is not None),
    )


def _worst(report: Report) -> Tile:
    """Return what is shown to have got worse, the greatest loss of each sort first."""
    lines = [*_worse_figures(report), *_worse_slices(report), *_worse_variants(report)]
    if lines:
        left_out = len(lines) - _MOST_LINES
        note = f"{left_out:,} more below" if left_out > 0 else ""
        return Tile(title="What got worse", lines=tuple(lines[:_MOST_LINES]), note=note)
    return Tile(title="What got worse", lines=(), note="Nothing that these rows can show.")


def _worse_figures(report: Report) -> Iterator[TileLine]:
    for task in report.tasks:
        for change in task.figures:
            if task.verdicts.get(change.name) == "worse":
                name = title_of(task, change.name)
                yield _worse(name if len(report.tasks) == 1 else f"{name}, {task.name}", change)


def _worse_slices(report: Report) -> Iterator[TileLine]:
    found = [
        (gain(task, each.change), each)
        for task in report.tasks
        for each in task.slices
        if each.is_worth_a_look and gain(task, each.change) < 0
    ]
    for _, each in sorted(found, key=lambda pair: pair[0]):
        yield _worse(f"{each.slice_field}: {each.value}", each.change)


def _worse_variants(report: Report) -> Iterator[TileLine]:
    changes = [each for task in report.tasks for each in task.robustness.get("after", ())]
    shown = [each for each in changes if each.loss is not None and each.interval is not None and each.interval.low > 0]
    for each in sorted(shown, key=lambda each: -(each.loss or 0.0)):
        within = interval_in_words("robustness_loss", each.interval)
        name = f"{each.kind}: right answers lost"
        value = in_words("robustness_loss", each.loss)
        yield TileLine(name=name, value=value, detail=within, kind="worse")


def _worse(name: str, change: FigureChange) -> TileLine:
    within = interval_in_words(change.name, change.interval, of_difference=True)
    return TileLine(name=name, value=difference_in_words(change.name, change.value), detail=within, kind="worse")


def _general(report: Report) -> Tile:
    title = "General ability"
    if not report.general:
        return Tile(title=title, lines=(), note="Not measured: the suite asks for no general text.")
    shown = report.general[:_MOST_LINES]
    axis = axis_over((0.0, *(each.increase for each in shown)), *(each.interval for each in shown))
    lines = []
    for each in shown:
        words = general_in_words(each)
        is_worse = each.interval is not None and each.interval.low > 0
        kind = "worse" if is_worse else "after"
        strip = Strip(
            description=f"{each.name}: {words}",
            ticks=(axis.at(0.0, "zero"),),
            spans=axis.spans(each.interval, kind),
            dots=(axis.at(each.increase, kind),),
        )
        value = difference_in_words("loss", each.increase)
        detail = f"{each.num_texts:,} texts"
        if each.interval is not None:
            detail = f"{interval_in_words('loss', each.interval, of_difference=True)}, {detail}"
        lines.append(
            TileLine(name=each.name, value=value, detail=detail, strip=strip, kind="worse" if is_worse else "")
        )
    left_out = len(report.general) - len(shown)
    more = f"; {left_out:,} more below" if left_out else ""
    return Tile(title=title, lines=tuple(lines), note=f"nats a token more than before; 0 is no forgetting{more}")


def _speed(report: Report) -> Tile:
    lines = []
    for name, side in zip(column_names(report), ("before", "after"), strict=True):
        figures = min(report.latency.get(side, ()), key=lambda each: (each.concurrency, not each.merged), default=None)
        if figures is not None:
            lines.append(TileLine(name=name, value=_p95(figures), detail=_details(figures), kind=side))
    size = report.after.size_bytes
    if size is not None:
        lines.append(TileLine(name="Adapter", value=bytes_in_words(size), detail=report.after.adapter))
    note = "" if report.latency else "Latency was not measured."
    return Tile(title="Speed and size", lines=tuple(lines), note=note)


def _p95(figures: LatencyFigures) -> str:
    value = figures.request_ms.get("p95")
    return f"no p95 of {figures.num_requests:,} requests" if value is None else f"p95 {in_words('p95_ms', value)}"


def _details(figures: LatencyFigures) -> str:
    parts = [interval_in_words("p95_ms", interval)] if (interval := figures.intervals_ms.get("p95")) else []
    return ", ".join((*parts, f"{in_words('tokens_per_s', figures.tokens_per_s)} tokens/s"))
