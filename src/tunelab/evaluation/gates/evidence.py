"""What a report measured for a gate, whatever figure it names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.figures_of import figures_of, rightness
from tunelab.evaluation.figures.likelihood_figures import LIKELIHOOD
from tunelab.evaluation.figures.measure import compare_figures, measure
from tunelab.evaluation.gates.config import BIAS_GAP, GateConfig
from tunelab.evaluation.gates.judge import Evidence
from tunelab.evaluation.label_calibration import calibration_of
from tunelab.evaluation.reports.report import ComparedRow, Report, TaskReport
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.statistics.gaps import gap

ECE = "ece"
GENERAL = "general_loss_increase"
ROBUSTNESS = "robustness_loss"
LATENCY = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")
OF_A_REPORT = (ECE, GENERAL, ROBUSTNESS, BIAS_GAP, *LATENCY)
"""What gates can name next to the figures of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A report with its rows, in which what a gate names is looked up."""

    report: Report
    rows: Sequence[ComparedRow]
    seed: int = 0


def figure_names(report: Report) -> list[str]:
    """Return what gates on a report can name."""
    names = dict.fromkeys(figure.name for task in report.tasks for figure in _figures(task))
    return [*names, *OF_A_REPORT]


def evidence_for(gate: GateConfig, source: Source) -> Evidence:
    """Return what was measured for a gate; with `against`, the report's change from the earlier model."""
    special: Mapping[str, Callable[[GateConfig, Source], Evidence]] = {
        ECE: _calibration,
        GENERAL: _general,
        ROBUSTNESS: _robustness,
        BIAS_GAP: _bias_gap,
        **dict.fromkeys(LATENCY, _latency),
    }
    if gate.figure in special:
        return special[gate.figure](gate, source)
    task = _task(gate, source.report)
    if task is None:
        return _nothing("no task of the report has it")
    figure = next(each for each in _figures(task) if each.name == gate.figure)
    if gate.slice:
        return _of_slice(figure, gate, task, source)
    change = next(each for each in task.figures if each.name == gate.figure)
    return Evidence(
        value=change.value if gate.against is not None else change.after.value,
        interval=change.interval if gate.against is not None else change.after.interval,
        num_rows=change.after.num_rows,
        is_share=figure.is_share and change.after.is_independent and gate.against is None,
        lower_is_better=figure.better == "lower",
        note="" if change.after.num_rows else "no row was measured",
    )


def _figures(task: TaskReport) -> Sequence[Figure[EvaluatedRow]]:
    return [
        figure
        for figure in figures_of(task.kinds, labels=task.labels)
        if any(change.name == figure.name for change in task.figures)
    ]


def _task(gate: GateConfig, report: Report) -> TaskReport | None:
    for task in report.tasks:
        if gate.task in (None, task.name) and (
            gate.figure in OF_A_REPORT or any(change.name == gate.figure for change in task.figures)
        ):
            return task
    return None


def _rows_of(gate: GateConfig, task: TaskReport, source: Source) -> list[ComparedRow]:
    return [
        row
        for row in source.rows
        if row.item.task == task.name and all(row.item.fields.get(name) == value for name, value in gate.slice.items())
    ]


def _of_slice(figure: Figure[EvaluatedRow], gate: GateConfig, task: TaskReport, source: Source) -> Evidence:
    rows = _rows_of(gate, task, source)
    if not rows:
        return _nothing("no row has these values")
    if figure in LIKELIHOOD:
        rows = [row for row in rows if row.after.nats is not None]
    groups = [row.item.group for row in rows]
    after = [row.after for row in rows]
    if gate.against is not None:
        (change,) = compare_figures([figure], [row.before for row in rows], after, groups, seed=source.seed)
        return Evidence(
            value=change.value,
            interval=change.interval,
            num_rows=change.after.num_rows,
            lower_is_better=figure.better == "lower",
        )
    (measured,) = measure([figure], after, groups, seed=source.seed)
    return Evidence(
        value=measured.value,
        interval=measured.interval,
        num_rows=measured.num_rows,
        is_share=figure.is_share and measured.is_independent,
        lower_is_better=figure.better == "lower",
    )


def _calibration(gate: GateConfig, source: Source) -> Evidence:
    for task in source.report.tasks:
        if gate.task not in (None, task.name) or not task.labels:
            continue
        rows = _rows_of(gate, task, source)
        found = calibration_of([row.after for row in rows], task.labels, seed=source.seed)
        if found is not None:
            return Evidence(
                value=found.error.value,
                interval=None,
                num_rows=len(rows),
                lower_is_better=True,
                by_luck=found.error.by_luck,
                p=found.error.p,
            )
    return _nothing("no labels were scored by probability")


def _general(_: GateConfig, source: Source) -> Evidence:
    if not source.report.general:
        return _nothing("general text was not measured")
    change = source.report.general[0]
    return Evidence(value=change.increase, interval=change.interval, num_rows=change.num_texts, lower_is_better=True)


def _robustness(gate: GateConfig, source: Source) -> Evidence:
    task = _task(gate, source.report)
    kinds = task.robustness.get("after", ()) if task else ()
    measured = [each for each in kinds if each.loss is not None]
    if not measured:
        return _nothing("robustness was not measured")
    worst = max(measured, key=lambda each: each.loss or -math.inf)
    return Evidence(value=worst.loss, interval=worst.interval, num_rows=worst.num_rows, lower_is_better=True)


def _bias_gap(gate: GateConfig, source: Source) -> Evidence:
    task = _task(gate, source.report)
    if task is None:
        return _nothing("there is no such task")
    is_right, field = rightness(task.kinds, task.labels), gate.by or ""
    rows = [row for row in _rows_of(gate, task, source) if field in row.item.fields]
    found = gap(
        [bool(is_right(row.after)) for row in rows],
        [row.item.fields[field] for row in rows],
        [row.item.group for row in rows],
        seed=source.seed,
    )
    if found is None:
        return _nothing(f"fewer than two groups of {field} have ten rows")
    return Evidence(
        value=found.value,
        interval=None,
        num_rows=len(rows),
        lower_is_better=True,
        by_luck=found.by_luck,
        p=found.p,
    )


def _latency(gate: GateConfig, source: Source) -> Evidence:
    quantile = gate.figure.split("_")[1]
    for each in source.report.latency.get("after", ()):
        if each.concurrency == gate.concurrency:
            value = each.request_ms.get(quantile)
            note = f"too few requests for a {quantile}" if value is None else ""
            interval = each.intervals_ms.get(quantile)
            return Evidence(value=value, interval=interval, num_rows=each.num_requests, lower_is_better=True, note=note)
    return _nothing(f"latency was not measured with {gate.concurrency} at a time")


def _nothing(note: str) -> Evidence:
    return Evidence(value=None, interval=None, num_rows=0, note=note)
