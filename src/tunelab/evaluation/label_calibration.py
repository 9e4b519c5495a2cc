"""Whether the probabilities that a model gives its labels are worth their name.

Legend: N rows, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.evaluation.figures.label_figures import answered_label, off_list_mass
from tunelab.evaluation.reports.report import Calibration, Confusion
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.statistics.calibration import brier_parts, calibration_error, reliability, temperature
from tunelab.evaluation.statistics.f1_sums import confusion

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """What a model chose among the labels of each row."""

    rows: Sequence[EvaluatedRow]
    log_probs_NC: Floats
    truth_N: NDArray[np.int64]
    """Number of the right label."""
    confidence_N: Floats
    """Softmax over the labels of the likeliest one."""
    is_right_N: NDArray[np.bool_]
    """Whether the likeliest label is the right one."""


def choices_of(rows: Sequence[EvaluatedRow], labels: Sequence[str]) -> Choices | None:
    """Return the choices of the rows whose labels were scored; None if there are none."""
    scored = [row for row in rows if row.choice_log_probs and row.item.label is not None]
    if not scored:
        return None
    log_probs_NC = np.array([row.choice_log_probs for row in scored])
    truth_N = np.array([labels.index(row.item.label or "") for row in scored])
    return Choices(
        rows=scored,
        log_probs_NC=log_probs_NC,
        truth_N=truth_N,
        confidence_N=_confidence(log_probs_NC),
        is_right_N=log_probs_NC.argmax(axis=1) == truth_N,
    )


def calibration_of(rows: Sequence[EvaluatedRow], labels: Sequence[str], *, seed: int) -> Calibration | None:
    """Return how well the likeliest label's probability among all labels is calibrated; None if none was scored."""
    choices = choices_of(rows, labels)
    if choices is None:
        return None
    confidence_N, is_right_N = choices.confidence_N, choices.is_right_N
    error = calibration_error(confidence_N.tolist(), is_right_N.tolist(), seed=seed)
    brier = brier_parts(confidence_N.tolist(), is_right_N.tolist())
    assert error is not None  # there are rows
    assert brier is not None
    fitted, confidence_at_N = _cross_fitted(choices)
    at_temperature = calibration_error(confidence_at_N.tolist(), is_right_N.tolist(), seed=seed)
    assert at_temperature is not None
    return Calibration(
        error=error,
        brier=brier,
        bins=tuple(reliability(confidence_N.tolist(), is_right_N.tolist())),
        off_list=float(np.mean([off_list_mass(row) for row in choices.rows])),
        temperature=fitted,
        error_at_temperature=at_temperature.value,
    )


def confusion_of(rows: Sequence[EvaluatedRow], labels: Sequence[str]) -> Confusion | None:
    """Return how often each true label got each answer; None if nothing was answered."""
    answered = [row for row in rows if row.answer is not None and row.item.label is not None]
    if not answered:
        return None
    answers = [answered_label(row, labels) for row in answered]
    counts = confusion(answers, [row.item.label or "" for row in answered], labels)
    return Confusion(labels=tuple(labels), counts=tuple(tuple(row) for row in counts.tolist()))


def _confidence(log_probs_NC: Floats) -> Floats:
    """Return the softmax over the labels of the likeliest one."""
    shifted_NC = np.exp(log_probs_NC - log_probs_NC.max(axis=1, keepdims=True))
    return np.asarray(1 / shifted_NC.sum(axis=1))


def _cross_fitted(choices: Choices) -> tuple[float, Floats]:
    """Return the temperature of all rows, and confidences at temperatures of the other half of the groups."""
    log_probs_NC, truth_N = choices.log_probs_NC, choices.truth_N
    groups = [row.item.group for row in choices.rows]
    halves = {group: place % 2 for place, group in enumerate(dict.fromkeys(groups))}
    half_N = np.array([halves[group] for group in groups])
    confidence_N = choices.confidence_N.copy()
    for half in (0, 1):
        own_N, other_N = half_N == half, half_N != half
        if own_N.any() and other_N.any():
            fitted = temperature(log_probs_NC[other_N], truth_N[other_N].tolist())
            confidence_N[own_N] = _confidence(log_probs_NC[own_N] / fitted)
    return temperature(log_probs_NC, truth_N.tolist()), confidence_N
