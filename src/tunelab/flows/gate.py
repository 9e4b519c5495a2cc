"""Gate: from a file of thresholds and a run's report to a verdict on each. Runs no model, and imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunelab.errors import RecipeError, did_you_mean
from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.evidence import OF_A_REPORT, Source, evidence_for, figure_names
from tunelab.evaluation.gates.judge import Evidence, GateVerdict, judge
from tunelab.evaluation.reports.report import Report
from tunelab.flows.compare import Compared, compare_models, read_report, read_rows
from tunelab.flows.settings_file import settings_in
from tunelab.recipes.yaml_file import load
from tunelab.workspace import Run, Workspace

BASE = "base"


def judge_run(
    run: Run, gates: Sequence[GateConfig], workspace: Workspace, *, confident: bool = False
) -> list[GateVerdict]:
    """Return what each gate says of a run, by its report.

    Args:
        run: one that was compared.
        gates: the thresholds, as `read_gates` returns them.
        workspace: where models that gates name are found.
        confident: judge thresholds by the end of the interval, if a gate does not say how.

    Raises:
        RecipeError: a gate names a figure that there is not, or one of which neither way is better against a model.
        RunError: the run has no report, or a model that a gate names was not evaluated on the same rows.
        MissingExtraError: a gate asks for BLEU, and sacrebleu is not installed.
    """
    report = read_report(run)
    own = Compared(report=report, rows=read_rows(run))
    for gate in gates:
        _refuse_unknown(gate, report)
    evidences = [_evidence(gate, own, workspace) for gate in gates]
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
    gates = []
    for index, each in enumerate(written):
        where = f"{file}:{written.lc.item(index)[0] + 1}"  # type: ignore[attr-defined]
        if not isinstance(each, dict):
            raise RecipeError("this is no gate", where=where, expected="{figure: NAME, min: NUMBER}")
        gates.append(settings_in(each, GateConfig, file=file, what="gate"))
    return gates


def _refuse_unknown(gate: GateConfig, report: Report) -> None:
    known = figure_names(report)
    if gate.figure not in known:
        remedy = did_you_mean(gate.figure, known)
        raise RecipeError(f'there is no figure "{gate.figure}"', where="gates", remedy=remedy)
    if gate.against is None:
        return
    if gate.figure in OF_A_REPORT:
        raise RecipeError(f"{gate.figure} is compared against {gate.against}", where="gates", expected="min or max")
    ways = {
        figure.name: figure.better
        for task in report.tasks
        for figure in figures_of(task.kinds, labels=task.labels, schema=task.json_schema)
    }
    if not ways.get(gate.figure):
        expected = "min or max: of this figure neither more nor less is better"
        raise RecipeError(f"{gate.figure} is compared against {gate.against}", where="gates", expected=expected)


def _evidence(gate: GateConfig, own: Compared, workspace: Workspace) -> Evidence:
    seed = int(str(own.report.sampling.get("seed", 0)))
    is_own = gate.against is None or (gate.against == BASE and own.report.before.name.startswith("base:"))
    if is_own:
        return evidence_for(gate, Source(report=own.report, rows=own.rows, seed=seed))
    name = own.report.before.base_model if gate.against == BASE else str(gate.against)
    other = compare_models(f"base:{name}" if gate.against == BASE else name, own.report.after.name, workspace)
    return evidence_for(gate, Source(report=other.report, rows=other.rows, seed=seed))
