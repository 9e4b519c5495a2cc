"""From the stored rows of two models to a report: no model runs, and nothing is measured twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunelab.errors import RunError
from tunelab.evaluation.figures.changes import changes_of
from tunelab.evaluation.figures.figure import Figure, ratio
from tunelab.evaluation.figures.figures_of import OF_A_CLASS, figures_of, first_figure, rightness
from tunelab.evaluation.figures.label_figures import answered_label
from tunelab.evaluation.figures.measure import FigureChange, measure
from tunelab.evaluation.label_calibration import calibration_of, confusion_of
from tunelab.evaluation.reports.report import (
    ComparedRow,
    GeneralChange,
    Outcome,
    Report,
    TaskReport,
    UnaskedRows,
    VariantChange,
    Verdict,
)
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.rows.evaluation_store import Evaluation, TaskRecord
from tunelab.evaluation.shown_difference import shown_difference
from tunelab.evaluation.slices import LANGUAGE, calibration_by_slice, gaps_of, slice_changes
from tunelab.evaluation.statistics.several import holm
from tunelab.evaluation.variants.variant_figures import robustness_loss, robustness_of, swaps_of, written_answer

_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models."""

    evaluation: Evaluation
    rows: Sequence[EvaluatedRow]


def build_report(before: Side, after: Side, *, command: str = "") -> tuple[Report, list[ComparedRow]]:
    """Return the report of two models over the same items, and its rows, those that broke first.

    Raises:
        RunError: they were evaluated by other suites.
        MissingExtraError: sacrebleu is not installed.
    """
    _refuse_others(before.evaluation, after.evaluation)
    first, second = _joined(before, after)
    seed = after.evaluation.seed
    tasks, compared = [], []
    for record in after.evaluation.tasks:
        places = [place for place, row in enumerate(second) if row.item.task == record.name]
        own = [first[place] for place in places], [second[place] for place in places]
        tasks.append(_task(record, *own, after.evaluation, seed=seed))
        compared += _compared(record, *own)
    answered = [row for row in second if row.answer is not None and not row.item.variant]
    report = Report(
        suite=after.evaluation.suite,
        data=after.evaluation.data,
        before=before.evaluation.model,
        after=after.evaluation.model,
        sampling=after.evaluation.sampling,
        tasks=tuple(tasks),
        general=_general(before.evaluation, after.evaluation, seed=seed),
        latency={
            name: each.evaluation.latency
            for name, each in (("before", before), ("after", after))
            if each.evaluation.latency
        },
        noise_floor=after.evaluation.noise_floor,
        left_out=_left_out(before.evaluation, after.evaluation),
        num_in_training=sum(row.in_training for row in answered),
        num_cut=sum(row.answer is not None and not row.answer.stopped for row in answered),
        command=command,
    )
    order: Mapping[Outcome, int] = {"broken": 0, "wrong": 1, "fixed": 2, "right": 3}
    return report, sorted(compared, key=lambda row: order[row.outcome])


def _refuse_others(before: Evaluation, after: Evaluation) -> None:
    names = f"{before.model.name} and {after.model.name}"
    if before.suite != after.suite:
        remedy = f"Evaluate both by one suite: tunelab evaluate {after.model.name} --against {before.model.name}"
        what = f"{names} were evaluated by different suites ({before.suite}, {after.suite})"
        raise RunError(what, expected="the same rows, asked in the same way", remedy=remedy)
    same_base = before.model.base_model == after.model.base_model
    if same_base and before.model.template_sha256 != after.model.template_sha256:
        raise RunError(
            f"{names} were asked with different chat templates of the same base model",
            expected="one template, so that only the weights differ",
            remedy="Evaluate both again with the template that is served.",
        )


def _joined(before: Side, after: Side) -> tuple[list[EvaluatedRow], list[EvaluatedRow]]:
    """Return the rows of the items that both models were asked, in the order of the later one's."""
    of_id = {row.item.id: row for row in before.rows}
    both = [row for row in after.rows if row.item.id in of_id]
    return [of_id[row.item.id] for row in both], both


def _task(
    record: TaskRecord,
    before: Sequence[EvaluatedRow],
    after: Sequence[EvaluatedRow],
    evaluation: Evaluation,
    *,
    seed: int,
) -> TaskReport:
    changed = {
        "before": [row for row in before if row.item.variant],
        "after": [row for row in after if row.item.variant],
    }
    before, after = ([row for row in rows if not row.item.variant] for rows in (before, after))
    figures = figures_of(record.kinds, labels=record.labels, schema=record.json_schema)
    changes = changes_of(figures, before, after, seed=seed)
    is_right = rightness(record.kinds, record.labels)
    first = _first_that_says_something(first_figure(record.kinds), changes)
    judged = next(figure for figure in figures if figure.name == first)
    sides = {"before": before, "after": after}
    calibrations = {name: calibration_of(rows, record.labels, seed=seed) for name, rows in sides.items()}
    confusions = {name: confusion_of(rows, record.labels) for name, rows in sides.items()} if record.labels else {}
    return TaskReport(
        name=record.name,
        kinds=record.kinds,
        num_rows=len(answered := [row for row in after if row.answer is not None]),
        num_groups=len({row.item.group for row in answered}),
        labels=record.labels,
        json_schema=record.json_schema,
        first_figure=first,
        figures=tuple(changes),
        verdicts=_verdicts(figures, changes, noise=evaluation.noise_floor or 0.0),
        slices=slice_changes(judged, before, after, seed=seed),
        calibration={name: each for name, each in calibrations.items() if each is not None},
        calibration_slices=calibration_by_slice(after, record.labels, seed=seed),
        confusion={name: each for name, each in confusions.items() if each is not None},
        gaps=gaps_of(after, (*evaluation.slices, LANGUAGE), is_right, seed=seed),
        shown_difference=shown_difference(before, after, is_right),
        robustness=_of_changed(robustness_of, evaluation.perturbations, sides, changed, is_right, record, seed=seed),
        swaps=_of_changed(swaps_of, evaluation.swaps, sides, changed, is_right, record, seed=seed),
        robustness_loss=robustness_loss(after, changed["after"], is_right, kinds=evaluation.perturbations, seed=seed),
    )


def _of_changed(
    measured: Callable[..., tuple[VariantChange, ...]],
    kinds: Sequence[str],
    sides: Mapping[str, Sequence[EvaluatedRow]],
    changed: Mapping[str, Sequence[EvaluatedRow]],
    is_right: Callable[[EvaluatedRow], bool | None],
    record: TaskRecord,
    *,
    seed: int,
) -> dict[str, tuple[VariantChange, ...]]:
    """Return what changed prompts do to each model; empty if none were asked."""
    if not kinds:
        return {}
    found = {}
    for name, rows in sides.items():
        tried = [row for row in rows if row.answer is not None]
        answer_of = partial(_label_of, labels=record.labels) if record.labels else written_answer
        found[name] = measured(tried, changed[name], is_right, kinds=kinds, answer_of=answer_of, seed=seed)
    return found


def _label_of(row: EvaluatedRow, labels: Sequence[str]) -> str:
    return answered_label(row, labels)


def _first_that_says_something(name: str, changes: Sequence[FigureChange]) -> str:
    """Return the name of the figure that a task is judged by: closeness, if neither model is ever exact."""
    found = {change.name: change for change in changes}
    is_mute = name == "exact_match" and not found[name].before.value and not found[name].after.value
    return "mean_chrf" if is_mute and found[name].value is not None else name


def _verdicts(
    figures: Sequence[Figure[EvaluatedRow]], changes: Sequence[FigureChange], *, noise: float
) -> dict[str, Verdict]:
    """Return what is shown of each figure, so that all verdicts are right together in 95 of 100 cases.

    Args:
        figures: of the task.
        changes: of each.
        noise: share of rows that are answered otherwise by themselves; a share that changed by no more is not shown to.
    """
    judged = [
        (figure, change)
        for figure, change in zip(figures, changes, strict=True)
        if figure.better and change.p is not None and not figure.name.startswith(OF_A_CLASS)
    ]
    adjusted = holm([change.p or 0.0 for _, change in judged])
    verdicts: dict[str, Verdict] = {
        figure.name: "not shown" for figure in figures if figure.better and not figure.name.startswith(OF_A_CLASS)
    }
    for (figure, change), p in zip(judged, adjusted, strict=True):
        is_noise = figure.is_share and abs(change.value or 0.0) <= noise
        if p <= _LEVEL and change.value and not is_noise:
            verdicts[figure.name] = "better" if (change.value > 0) == (figure.better == "higher") else "worse"
    return verdicts


def _compared(record: TaskRecord, before: Sequence[EvaluatedRow], after: Sequence[EvaluatedRow]) -> list[ComparedRow]:
    is_right = rightness(record.kinds, record.labels)
    outcomes: Mapping[tuple[bool, bool], Outcome] = {
        (False, True): "fixed",
        (True, False): "broken",
        (True, True): "right",
        (False, False): "wrong",
    }
    rows = []
    for own, other in zip(before, after, strict=True):
        was, is_now = is_right(own), is_right(other)
        if was is not None and is_now is not None and not other.item.variant:
            rows.append(ComparedRow(item=other.item, before=own, after=other, outcome=outcomes[was, is_now]))
    return rows


def _general(before: Evaluation, after: Evaluation, *, seed: int) -> tuple[GeneralChange, ...]:
    """Return what general texts cost, of those that both models were measured on."""
    changes = []
    own = {each.name: each for each in before.general}
    for later in after.general:
        earlier = own.get(later.name)
        if earlier is None or not later.texts or earlier.texts != later.texts:  # a base may answer nothing
            continue
        pairs = list(zip(earlier.nats, later.nats, later.num_tokens, strict=True))
        figures: list[Figure[tuple[float, float, int]]] = [
            Figure(
                name="general_loss_increase",
                title="General text",
                meaning="nats a token more than before",
                better="lower",
                summands=lambda pair: (pair[1] - pair[0], float(pair[2])),
                value=lambda sums: ratio(sums[..., 0], sums[..., 1]),
            )
        ]
        (measured,) = measure(figures, pairs, list(later.texts), seed=seed)
        tokens = sum(later.num_tokens)
        changes.append(
            GeneralChange(
                name=later.name,
                num_texts=len(pairs),
                before=float(np.sum(earlier.nats)) / tokens,
                after=float(np.sum(later.nats)) / tokens,
                increase=measured.value or 0.0,
                interval=measured.interval,
            )
        )
    return tuple(changes)


def _left_out(before: Evaluation, after: Evaluation) -> tuple[UnaskedRows, ...]:
    return tuple(dict.fromkeys((*after.left_out, *before.left_out)))
