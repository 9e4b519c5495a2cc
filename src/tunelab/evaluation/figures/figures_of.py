"""The figures of a task, by the kinds that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunelab.evaluation.figures.answer_figures import ANSWERS, is_exact, of_texts
from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.json_figures import is_equal_json, json_figures
from tunelab.evaluation.figures.label_figures import answered_label, label_figures
from tunelab.evaluation.figures.likelihood_figures import LIKELIHOOD
from tunelab.evaluation.figures.tool_figures import TOOLS, is_right_call
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, TaskKind

FIRST: Mapping[TaskKind, str] = {
    "labels": "accuracy",
    "tools": "call_right",
    "json": "json_equal",
    "generation": "exact_match",
    "loss": "loss",
}
"""The figure that a task is judged by, of the first kind that it has in this order."""


def figures_of(
    kinds: Sequence[TaskKind], *, labels: Sequence[str] = (), schema: Mapping[str, object] | None = None
) -> Sequence[Figure[EvaluatedRow]]:
    """Return the figures of a task, the one that it is judged by first."""
    made: Mapping[TaskKind, Sequence[Figure[EvaluatedRow]]] = {
        "labels": label_figures(labels),
        "tools": TOOLS,
        "json": json_figures(schema),
        "generation": ANSWERS,
        "loss": LIKELIHOOD,
    }
    return [figure for kind, some in made.items() if kind in kinds for figure in some]


def first_figure(kinds: Sequence[TaskKind]) -> str:
    """Return the name of the figure that a task is judged by."""
    return next(name for kind, name in FIRST.items() if kind in kinds)


def rightness(kinds: Sequence[TaskKind], labels: Sequence[str]) -> Callable[[EvaluatedRow], bool | None]:
    """Return what says of a row whether it is right by the first figure; None of a row without an answer."""
    of: Mapping[str, Callable[[EvaluatedRow], float | bool | None]] = {
        "accuracy": lambda row: None if row.answer is None else answered_label(row, labels) == row.item.label,
        "call_right": is_right_call,
        "json_equal": of_texts(is_equal_json),
        "exact_match": of_texts(is_exact),
        "loss": lambda row: None,
    }
    measured = of[first_figure(kinds)]

    def is_right(row: EvaluatedRow) -> bool | None:
        value = measured(row)
        return None if value is None else bool(value)

    return is_right
