"""From what is stored of models to the rows that a person rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import RunError
from tunelab.evaluation.judging.ask import JudgedRow
from tunelab.evaluation.rows.row import EvaluatedRow
from tunelab.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRows:
    """Rows, and where their ratings are kept."""

    rows: Sequence[JudgedRow]
    file: Path


def rated_rows(model: str, against: str | None, workspace: Workspace) -> RatedRows:
    """Return what a person rates of a model: its own answers, or with those of another one.

    Args:
        model: a run's id, or the beginning of one.
        against: another model, ``base`` for its own base; None rates the answers of `model` by themselves.
        workspace: where evaluations lie.

    Raises:
        RunError: one of them was not evaluated, or not by the same suite.
    """
    remedy = f"Make it with: tunelab evaluate {model}{f' --against {against}' if against else ''}"
    raise RunError("there is no evaluation here", where=str(workspace.path), remedy=remedy)


def joined_rows(after: Sequence[EvaluatedRow], before: Sequence[EvaluatedRow] | None) -> list[JudgedRow]:
    """Return the rows that both models answered, by item; those of the later one alone if `before` is None."""
    answers = {row.item.id: row.answer for row in before or ()}
    return [
        JudgedRow(item=row.item, before=answers.get(row.item.id), after=row.answer)
        for row in after
        if row.answer is not None and (before is None or answers.get(row.item.id) is not None)
    ]
