"""Gate: from a file of thresholds and a run's report to a verdict on each. Runs no model, and imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tunelab.errors import RecipeError, did_you_mean
from tunelab.evaluation.figures.figures_of import OF_A_CLASS, figures_of
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.evidence import OF_A_REPORT, Source, evidence_for
from tunelab.evaluation.gates.judge import Evidence, GateVerdict, judge
from tunelab.evaluation.rows.evaluated_row import TaskKind
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
        RunError: the run has no report, or a model that a gate names was not evaluated on the same rows.
        MissingExtraError: a gate asks for BLEU, and sacrebleu is not installed.
    """
    report = read_report(run)
    own = Compared(report=report, rows=read_rows(run))
    evidences = [_evidence(gate, own, workspace) for gate in gates]
    return judge(gates, evidences, confident=confident)


def read_gates(file: Path) -> list[GateConfig]:
    """Return the gates of a YAML file: a list under `gates`.

    Raises:
        RecipeError: the file is none of gates, one of them cannot be meant, or names a figure that there is not.
    """
    if not file.exists():
        remedy = "Name one by --gates FILE, or write gates.yaml."
        raise RecipeError("there is no such file of gates", where=str(file), remedy=remedy)
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
        _refuse_unknown(gates[-1], where)
    return gates


def _refuse_unknown(gate: GateConfig, where: str) -> None:
    ways = {figure.name: figure.better for figure in figures_of(get_args(TaskKind), schema={})}
    known = [*ways, *OF_A_REPORT]
    if gate.figure not in known and not gate.figure.startswith(OF_A_CLASS):
        raise RecipeError(f'there is no figure "{gate.figure}"', where=where, remedy=did_you_mean(gate.figure, known))
    if gate.against is None:
        return
    if gate.figure in OF_A_REPORT:
        raise RecipeError(f"{gate.figure} is compared against {gate.against}", where=where, expected="min or max")
    if not ways.get(gate.figure, "higher"):
        expected = "min or max: of this figure neither more nor less is better"
        raise RecipeError(f"{gate.figure} is compared against {gate.against}", where=where, expected=expected)


def _evidence(gate: GateConfig, own: Compared, workspace: Workspace) -> Evidence:
    seed = int(str(own.report.sampling.get("seed", 0)))
    is_own = gate.against is None or (gate.against == BASE and own.report.before.name.startswith("base:"))
    if is_own:
        return evidence_for(gate, Source(report=own.report, rows=own.rows, seed=seed))
    name = own.report.before.base_model if gate.against == BASE else str(gate.against)
    other = compare_models(f"base:{name}" if gate.against == BASE else name, own.report.after.name, workspace)
    return evidence_for(gate, Source(report=other.report, rows=other.rows, seed=seed))
