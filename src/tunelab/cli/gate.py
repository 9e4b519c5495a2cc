"""`tunelab gate RUN`: thresholds that a compared run must pass; exit code 1 unless all of them do."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import print_document, print_table, say
from tunelab.errors import counted
from tunelab.evaluation.gates.judge import GateVerdict
from tunelab.workspace import find_workspace


class Require(StrEnum):
    """How thresholds are judged if a gate does not say it."""

    POINT = "point"
    CONFIDENT = "confident"


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", hidden=True)],
    *,
    gates: Annotated[Path, typer.Option("--gates", metavar="FILE", help="The thresholds.")] = Path("gates.yaml"),
    require: Annotated[
        Require,
        typer.Option("--require", metavar="HOW", help="point: the figure itself; confident: all of its 95 % interval."),
    ] = Require.POINT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Judge a compared run by thresholds.

    RUN is a run's id, the beginning of one, its folder, or the word latest. A gate passes, fails, or cannot be decided
    with these rows. The exit code is 0 if all pass, else 1.
    """
    from tunelab.flows.gate import judge_run, read_gates

    workspace = find_workspace(Path.cwd())
    found = workspace.find_run(run)
    verdicts = judge_run(found, read_gates(gates), workspace, confident=require is Require.CONFIDENT)
    if as_json:
        print_document(json.dumps({"run": found.id, "gates": [_document(verdict) for verdict in verdicts]}))
    else:
        print_table(["Gate", "Figure", "95 % interval", "Verdict", "Why"], [_row(verdict) for verdict in verdicts])
        say(_summary(verdicts), style="bold")
    if any(verdict.outcome != "passes" for verdict in verdicts):
        raise typer.Exit(1)


def _row(verdict: GateVerdict) -> tuple[str, str, str, str, str]:
    evidence = verdict.evidence
    sign = "+" if verdict.gate.against is not None else ""
    value = "–" if evidence.value is None else format(evidence.value, f"{sign}.4g")
    interval = evidence.interval
    ends = "–" if interval is None else f"{interval.low:{sign}.4g} to {interval.high:{sign}.4g}"
    return verdict.gate.describe(), value, ends, verdict.outcome, _why(verdict)


def _why(verdict: GateVerdict) -> str:
    words = [verdict.reason] if verdict.reason else []
    if verdict.rows_needed is not None:
        words.append(f"about {counted(verdict.rows_needed, 'row')} would decide it")
    if verdict.luck is not None:
        share = f"{100 * verdict.luck:.0f}" if verdict.luck >= 0.005 else "under 1"
        words.append(f"a model truly 3 points below the threshold passes in {share} % of cases")
    return "; ".join(words)


def _summary(verdicts: list[GateVerdict]) -> str:
    outcomes = [verdict.outcome for verdict in verdicts]
    words = [f"{outcomes.count('passes')} of {counted(len(outcomes), 'gate')} passed"]
    if failed := outcomes.count("fails"):
        words.append(f"{failed} failed")
    if undecided := outcomes.count("not decided"):
        words.append(f"{undecided} cannot be decided with these rows")
    return f"{', '.join(words)}."


def _document(verdict: GateVerdict) -> dict[str, object]:
    return {
        **verdict.gate.model_dump(exclude_defaults=True),
        "value": verdict.evidence.value,
        "interval": verdict.evidence.interval and asdict(verdict.evidence.interval),
        "rows": verdict.evidence.num_rows,
        "verdict": verdict.outcome,
        "reason": verdict.reason,
        "by_margin": verdict.margin,
        "rows_needed": verdict.rows_needed,
        "luck": verdict.luck,
    }
