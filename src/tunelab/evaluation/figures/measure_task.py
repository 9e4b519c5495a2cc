"""The figures of one model over the rows of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.figures.likelihood_figures import by_what_is_measured
from tunelab.evaluation.figures.measure import Measured, measure
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow

if TYPE_CHECKING:
    from tunelab.evaluation.rows.evaluation_store import TaskRecord


def measure_task(task: TaskRecord, rows: Sequence[EvaluatedRow], *, seed: int) -> list[tuple[str, Measured]]:
    """Return title and value of each figure, over the rows that were answered, or of likelihood those scored."""
    own = [row for row in rows if row.item.task == task.name and not row.item.variant]
    figures = figures_of(task.kinds, labels=task.labels, schema=task.json_schema)
    found: dict[str, Measured] = {}
    for some, has in by_what_is_measured(figures):
        counted = [row for row in own if has(row)]
        groups = [row.item.group for row in counted]
        found |= {each.name: each for each in measure(some, counted, groups, seed=seed)}
    return [(figure.title, found[figure.name]) for figure in figures]
