"""Gate: from a file of thresholds and a run's comparison to a verdict on each. Runs no model, and imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunelab.errors import RecipeError, RunError, did_you_mean
from tunelab.evaluation.figures.answer_figures import ANSWERS, AnsweredRow
from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.measure import compare_figures, measure
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.judge import Evidence, GateVerdict, judge
from tunelab.evaluation.report import Report, read_report
from tunelab.evaluation.scorers import ScoredAnswer
from tunelab.recipes.yaml_file import load
from tunelab.workspace import Run, Workspace

BASE = "base"
_OF_ANSWERS = {figure.name: figure for figure in ANSWERS}
_LOSS = "loss"
FIGURES = (*_OF_ANSWERS, _LOSS)
"""What a gate can name."""
_NO_LOSS_BY_ROW = "a report holds the loss of all rows together, which has no interval"


def judge_run(
    run: Run, gates: Sequence[GateConfig], workspace: Workspace, *, confident: bool = False
) -> list[GateVerdict]:
    """Return what each gate says of a run, by its report.

    Args:
        run: one that was compared.
        gates: the thresholds, as `read_gates` returns them.
        workspace: where runs that gates name are found.
        confident: judge thresholds by the end of the interval, if a gate does not say how.

    Raises:
        RunError: the run has no report, a run that a gate names has none, or one on other rows.
        MissingExtraError: a gate asks for BLEU, and sacrebleu is not installed.
    """
    report = _report_of(run)
    evidences = [_evidence(gate, report, workspace) for gate in gates]
    return judge(gates, evidences, confident=confident)


def read_gates(file: Path) -> list[GateConfig]:
    """Return the gates of a YAML file: a list under `gates`.

    Raises:
        RecipeError: the file is none of gates, or one of them cannot be meant.
    """
    content = load(file)
    written = content.get("gates") if isinstance(content, dict) else None
    if not isinstance(written, list) or not written or set(content) != {"gates"}:
        expected = "gates: and a list below it, such as  - {figure: exact_match, min: 0.9}"
        raise RecipeError("this is no file of gates", where=str(file), expected=expected)
    return [_gate(each, f"{file}:{written.lc.item(index)[0] + 1}") for index, each in enumerate(written)]  # type: ignore[attr-defined]


def _gate(written: Any, where: str) -> GateConfig:
    if not isinstance(written, dict):
        raise RecipeError("this is no gate", where=where, expected="{figure: NAME, min: NUMBER}")
    try:
        gate = GateConfig.model_validate(dict(written))
    except ValidationError as error:
        raise _fault(error, where) from error
    if gate.figure not in FIGURES:
        remedy = did_you_mean(gate.figure, FIGURES)
        raise RecipeError(f'there is no figure "{gate.figure}"', where=where, remedy=remedy)
    if gate.against is not None and gate.figure in _OF_ANSWERS and not _OF_ANSWERS[gate.figure].better:
        expected = "min or max: of this figure neither more nor less is better"
        raise RecipeError(f"{gate.figure} is compared against {gate.against}", where=where, expected=expected)
    return gate


def _fault(error: ValidationError, where: str) -> RecipeError:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return RecipeError(f'a gate has no key "{key}"', where=where, remedy=did_you_mean(key, GateConfig.model_fields))
    words = re.sub("^Value error, ", "", first["msg"])
    return RecipeError(f"{key}: {words}" if key else f"the gate {words}", where=where)


def _evidence(gate: GateConfig, report: Report, workspace: Workspace) -> Evidence:
    if gate.figure == _LOSS:
        return _loss(gate, report, workspace)
    figure = _OF_ANSWERS[gate.figure]
    groups = [row.question.group for row in report.rows]
    rows = [_answered(row.tuned, row.question.reference) for row in report.rows]
    if gate.against is None:
        (measured,) = measure([figure], rows, groups, seed=report.setting.seed)
        return Evidence(
            value=measured.value,
            interval=measured.interval,
            num_rows=measured.num_rows,
            is_share=figure.is_share and measured.is_independent,
            note="no row was answered" if not rows else "",
        )
    return _difference(figure, _answers_of_other(gate.against, report, workspace), rows, groups, report.setting.seed)


def _difference(
    figure: Figure[AnsweredRow],
    before: Sequence[AnsweredRow],
    after: Sequence[AnsweredRow],
    groups: Sequence[str],
    seed: int,
) -> Evidence:
    (change,) = compare_figures([figure], before, after, groups, seed=seed)
    return Evidence(
        value=change.value,
        interval=change.interval,
        num_rows=change.after.num_rows,
        lower_is_better=figure.better == "lower",
        note="no row was answered" if not after else "",
    )


def _answers_of_other(name: str, report: Report, workspace: Workspace) -> list[AnsweredRow]:
    """Return the answers of another model to the rows of `report`, in their order."""
    if name == BASE:
        return [_answered(row.base, row.question.reference) for row in report.rows]
    other = workspace.find_run(name)
    answers = {(row.question.prompt, row.question.reference): row.tuned for row in _report_of(other).rows}
    missing = [row.question for row in report.rows if (row.question.prompt, row.question.reference) not in answers]
    if missing:
        what = f"{other.id} did not answer {len(missing):,} of the {len(report.rows):,} rows, or with another template"
        remedy = f"Compare both on the same file: tunelab compare {other.id} --file FILE"
        raise RunError(what, where=missing[0].origin, expected="two runs that answered the same rows", remedy=remedy)
    return [
        _answered(answers[row.question.prompt, row.question.reference], row.question.reference) for row in report.rows
    ]


def _answered(answer: ScoredAnswer, reference: str) -> AnsweredRow:
    return AnsweredRow(answer=answer.text, reference=reference, stopped=answer.stopped, num_tokens=answer.num_tokens)


def _loss(gate: GateConfig, report: Report, workspace: Workspace) -> Evidence:
    value, note = report.tuned.loss, _NO_LOSS_BY_ROW
    if gate.against is not None and value is not None:
        other = report if gate.against == BASE else _report_of(workspace.find_run(gate.against))
        before = other.base.loss if gate.against == BASE else other.tuned.loss
        if _rows_of_loss(other) != _rows_of_loss(report):
            before, note = None, f"the loss of {gate.against} is that of other rows"
        value = None if before is None else value - before
    if report.tuned.loss is None:
        note = "no loss was measured"
    return Evidence(value=value, interval=None, num_rows=report.num_sequences, lower_is_better=True, note=note)


def _rows_of_loss(report: Report) -> tuple[object, ...]:
    """Return what two reports must have in common for their losses to be of the same rows, as far as they tell."""
    questions = {(row.question.prompt, row.question.reference) for row in report.rows}
    return report.num_sequences, report.num_trained_tokens, questions


def _report_of(run: Run) -> Report:
    if not run.report_file.is_file():
        remedy = f"Make it with: tunelab compare {run.id}"
        raise RunError("this run has no report yet", where=str(run.path), expected="report.json", remedy=remedy)
    return read_report(run.report_file.read_text(encoding="utf-8"), where=str(run.report_file))
