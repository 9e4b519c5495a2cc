"""The figures of one model in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunelab.cli.console import print_table, say
from tunelab.evaluation.reports.numbers import in_words, interval_in_words

if TYPE_CHECKING:
    from tunelab.evaluation.rows.evaluation_store import Evaluation
    from tunelab.workspace import Workspace


def print_figures(evaluation: Evaluation, workspace: Workspace) -> None:
    """Print the figures of each task with their intervals."""
    from tunelab.evaluation.figures.measure_task import measure_task
    from tunelab.evaluation.rows.evaluation_store import EvaluationFolder

    _, rows = EvaluationFolder(workspace=workspace.path).read(evaluation.suite, evaluation.model)
    for task in evaluation.tasks:
        measured = measure_task(task, rows, seed=evaluation.seed)
        say(f"{evaluation.model.name}, {task.name}", style="bold")
        print_table(
            ["Measure", "Figure", "95 % interval"],
            [
                (
                    title,
                    in_words(each.name, each.value),
                    interval_in_words(each.name, each.interval),
                )
                for title, each in measured
                if each.value is not None
            ],
        )
