"""Slices as a sorted dot plot: the change of the task's figure on each, the greatest loss on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.evaluation.reports.numbers import difference_in_words, in_words, interval_in_words
from tunelab.evaluation.reports.page.strips import Axis, Strip, axis_over
from tunelab.evaluation.reports.report import SliceChange, TaskReport
from tunelab.evaluation.reports.words import gain, title_of

MOST_SLICES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLine:
    """A slice on the page."""

    name: str
    num_rows: int
    before: str
    after: str
    difference: str
    interval: str
    is_worth_a_look: bool
    strip: Strip


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePlot:
    """The slices of one task."""

    task: str
    figure: str
    lines: tuple[SliceLine, ...]
    num_left_out: int


def slice_plots(tasks: Sequence[TaskReport]) -> list[SlicePlot]:
    """Return the plot of each task that has slices."""
    return [plot for plot in map(_plot, tasks) if plot.lines]


def ordered_slices(task: TaskReport) -> list[SliceChange]:
    """Return the slices that were measured, the greatest loss first."""
    measured = [each for each in task.slices if each.change.value is not None]
    return sorted(measured, key=lambda each: (gain(task, each.change), each.slice_field, each.value))


def _plot(task: TaskReport) -> SlicePlot:
    ordered = ordered_slices(task)
    shown = _shown(ordered)
    axis = axis_over((0.0, *(each.change.value for each in shown)), *(each.change.interval for each in shown))
    return SlicePlot(
        task=task.name,
        figure=title_of(task, task.first_figure),
        lines=tuple(_line(task, each, axis) for each in shown),
        num_left_out=len(ordered) - len(shown),
    )


def _shown(ordered: Sequence[SliceChange]) -> list[SliceChange]:
    """Return the slices at both ends if there are too many: those between them changed least."""
    if len(ordered) <= MOST_SLICES:
        return list(ordered)
    half = MOST_SLICES // 2
    return [*ordered[:half], *ordered[-half:]]


def _line(task: TaskReport, each: SliceChange, axis: Axis) -> SliceLine:
    change = each.change
    kind = "" if not each.is_worth_a_look else "worse" if gain(task, change) < 0 else "better"
    difference = difference_in_words(change.name, change.value)
    interval = interval_in_words(change.name, change.interval, of_difference=True)
    name = f"{each.slice_field}: {each.value}"
    return SliceLine(
        name=name,
        num_rows=change.after.num_rows,
        before=in_words(change.name, change.before.value),
        after=in_words(change.name, change.after.value),
        difference=difference,
        interval=interval,
        is_worth_a_look=each.is_worth_a_look,
        strip=Strip(
            description=f"{name}: {difference} ({interval})",
            ticks=(axis.at(0.0, "zero"),),
            spans=axis.spans(change.interval, kind),
            dots=(axis.at(change.value or 0.0, kind),),
        ),
    )
