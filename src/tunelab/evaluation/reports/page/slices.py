"""The slices of a task as lines of a dot plot, the worst first."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tunelab.evaluation.reports.page.charts import interval_dot, shared_axis
from tunelab.evaluation.reports.report import TaskReport
from tunelab.evaluation.reports.words import interval_words, style_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLine:
    """One value of one field."""

    name: str
    num_rows: int
    before: str
    after: str
    interval: str
    dot: Markup
    is_worth_a_look: bool


def slice_lines(task: TaskReport) -> list[SliceLine]:
    """Return the slices of a task by how much the figure that it is judged by changed, the worst first."""
    style = style_of(task.first_figure)
    low, high = shared_axis([(each.change.value, each.change.interval) for each in task.slices])
    sign = -1 if task.first_figure == "loss" else 1
    ordered = sorted(task.slices, key=lambda each: sign * (each.change.value or 0.0))
    return [
        SliceLine(
            name=f"{each.slice_field}: {each.value}",
            num_rows=each.change.after.num_rows,
            before=style(each.change.before.value),
            after=style(each.change.after.value),
            interval=interval_words(each.change.interval, style),
            dot=interval_dot(
                each.change.value,
                each.change.interval,
                low=low,
                high=high,
                title=f"{each.slice_field} {each.value}: {style(each.change.value)}",
            ),
            is_worth_a_look=each.is_worth_a_look,
        )
        for each in ordered
    ]
