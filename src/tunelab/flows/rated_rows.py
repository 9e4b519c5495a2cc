"""From what is stored of models to the rows that a person rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import RunError
from tunelab.evaluation.judging.asks import JudgedRow, joined_rows
from tunelab.evaluation.judging.ratings import RATINGS_FILE
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder
from tunelab.flows.compare import evaluations_of
from tunelab.workspace import Workspace

_BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRows:
    """Rows, and where their ratings are kept."""

    rows: Sequence[JudgedRow]
    file: Path


def rated_rows(model: str, against: str | None, workspace: Workspace) -> RatedRows:
    """Return what a person rates of a model: its own answers, or with those of another one.

    Args:
        model: a run's id, the beginning of one, or any other name under which it was evaluated.
        against: another model, ``base`` for its own base; None rates the answers of `model` by themselves.
        workspace: where evaluations lie.

    Raises:
        RunError: one of them was not evaluated, or not by the same suite.
    """
    folder = EvaluationFolder(workspace=workspace.path)
    for own in reversed(evaluations_of(model, folder, workspace)):
        rows = _other_rows(own, against, folder, workspace) if against else None
        if rows is not None or against is None:
            _, own_rows = folder.read(own.suite, own.model)
            file = folder.model_folder(own.suite, own.model) / RATINGS_FILE
            return RatedRows(rows=joined_rows(own_rows, rows), file=file)
    both = f"{model} and {against} were" if against else f"{model} was"
    suite = " by one suite" if against else ""
    remedy = f"Make it with: tunelab evaluate {model}{f' --against {against}' if against else ''}"
    raise RunError(f"{both} not evaluated{suite} yet", where=str(workspace.path), remedy=remedy)


def _other_rows(
    own: Evaluation, against: str, folder: EvaluationFolder, workspace: Workspace
) -> list[EvaluatedRow] | None:
    name = f"base:{own.model.base_model}" if against == _BASE else against
    for other in reversed(evaluations_of(name, folder, workspace)):
        if other.suite == own.suite:
            return folder.read(other.suite, other.model)[1]
    return None
