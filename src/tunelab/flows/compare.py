"""Compare: from two models to a report. What is stored of them is read; what is not is evaluated first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from tunelab.errors import RunError, StorageError, UserError
from tunelab.evaluation.reports.build import Side, build_report
from tunelab.evaluation.reports.page.to_html import to_html
from tunelab.evaluation.reports.report import ComparedRow, Report
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder
from tunelab.events import SILENT, EventLog
from tunelab.files import write_file
from tunelab.flows.judging import kept_report
from tunelab.workspace import Run, Workspace, find_workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A report with its rows."""

    report: Report
    rows: Sequence[ComparedRow]


def compare_run(
    run: Run,
    *,
    workspace: Workspace | None = None,
    file: Path | None = None,
    seed: int | None = None,
    events: EventLog = SILENT,
    **settings: object,
) -> Compared:
    """Compare a run with its base, write report.json, rows.jsonl and report.html into the run, and return the report.

    Args:
        run: a finished one.
        workspace: where evaluations are kept; None takes that around the run.
        file: rows to compare on instead of the held-out ones.
        seed: of sampled answers and resamples; None takes the recipe's.
        events: of how far reading, rendering and the answers of both models have come.
        settings: other ones of `evaluation` than the recipe's, e.g. ``temperature=0.7``; None changes nothing.

    Raises:
        StorageError: the run's folder cannot be written to.
        UserError: the run cannot be opened (`parts_of_run`) or its rows cannot be read.
    """
    from tunelab.flows.evaluating.evaluate import evaluate, plan_evaluation
    from tunelab.flows.evaluating.model import base_of, tuned_model
    from tunelab.flows.evaluating.suite import suite_of
    from tunelab.flows.subject import parts_of_run

    _refuse_unwritable(run.path)
    workspace = workspace or workspace_of(run)
    parts = parts_of_run(run)
    recipe = parts.recipe
    changed = {"compare_file": str(file) if file else None, **settings}
    suite = suite_of(recipe.evaluation.changed(**changed), seed=recipe.training.seed if seed is None else seed)
    model = tuned_model(run.id, parts)
    plan = plan_evaluation(model, suite, events=events)
    base, tuned = evaluate(plan, [base_of(model), model], workspace, events=events)
    compared = compare_evaluations(base, tuned, workspace)
    write_report(compared, run)
    return compared


def compare_models(before: str, after: str, workspace: Workspace) -> Compared:
    """Return the report of two models by name from what is stored of them; no model runs.

    Raises:
        RunError: one of them was not evaluated, or not by the same suite.
    """
    folder = EvaluationFolder(workspace=workspace.path)
    own, other = (evaluations_of(name, folder, workspace) for name in (before, after))
    pairs = [(first, second) for second in reversed(other) for first in reversed(own) if first.suite == second.suite]
    if pairs:
        return compare_evaluations(*pairs[0], workspace)
    if own and other:
        return compare_evaluations(own[-1], other[-1], workspace)  # which says how they differ
    name = after if own else before
    remedy = f"Evaluate it first: tunelab evaluate {name}"
    raise RunError(f"{name} was not evaluated yet", where=str(workspace.path), remedy=remedy)


def compare_evaluations(before: Evaluation, after: Evaluation, workspace: Workspace) -> Compared:
    """Return the report of two stored evaluations.

    Raises:
        RunError: they are damaged, or of different suites.
    """
    folder = EvaluationFolder(workspace=workspace.path)
    sides = []
    for each in (before, after):
        evaluation, rows = folder.read(each.suite, each.model)
        sides.append(Side(evaluation=evaluation, rows=rows))
    command = f"tunelab evaluate {after.model.name} --against {before.model.name}"
    report, rows_ = build_report(*sides, command=command)
    judge = kept_report(before, after, workspace)
    return Compared(report=replace(report, judge=judge), rows=rows_)


def write_report(compared: Compared, run: Run) -> None:
    """Write a report, its rows and its page into a run.

    Raises:
        StorageError: they cannot be written.
    """
    write_file(run.report_file, report_json(compared.report))
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in compared.rows)
    write_file(run.rows_file, lines.decode())
    write_file(run.html_report_file, to_html(compared.report, compared.rows, ()))


def report_json(report: Report) -> str:
    """Return the indented JSON of a report; the same report gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def read_report(run: Run) -> Report:
    """Return the report that was written into a run.

    Raises:
        RunError: there is none, or it is damaged or of an older tunelab.
    """
    remedy = f"Make it with: tunelab compare {run.id}"
    if not run.report_file.is_file():
        raise RunError("this run has no report yet", where=str(run.path), expected="report.json", remedy=remedy)
    try:
        return msgspec.json.decode(run.report_file.read_bytes(), type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"this is no report ({error})", where=str(run.report_file), remedy=remedy) from error


def read_rows(run: Run) -> list[ComparedRow]:
    """Return the rows of the report that was written into a run.

    Raises:
        RunError: they are missing or damaged.
    """
    remedy = f"Make them with: tunelab compare {run.id}"
    try:
        return msgspec.json.Decoder(ComparedRow).decode_lines(run.rows_file.read_bytes())
    except FileNotFoundError as error:
        raise RunError("the rows of the report are missing", where=str(run.rows_file), remedy=remedy) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"these are no rows of a report ({error})", where=str(run.rows_file), remedy=remedy) from error


def evaluations_of(name: str, folder: EvaluationFolder, workspace: Workspace) -> list[Evaluation]:
    """Return the evaluations of a model by its name or that of its run, the newest last; empty if there are none."""
    found = folder.evaluations_of(name)
    if found:
        return found
    try:
        return folder.evaluations_of(workspace.find_run(name).id)
    except UserError:
        return []


def workspace_of(run: Run) -> Workspace:
    """Return the workspace that a run lies in; the run's own folder if it lies in none."""
    around = find_workspace(run.path)
    if around.path != run.path.resolve():
        return around
    return Workspace(path=run.path.parent.parent if run.path.parent.name == "runs" else run.path)


def _refuse_unwritable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        remedy = "Make it writable, or copy the run's folder to a place that is."
        raise StorageError("report.json cannot be written here", where=str(folder), remedy=remedy)
