"""Figures of answers that are one of some labels. An answer that is none is a class of its own, never left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from tunelab.evaluation.figures.answer_figures import normalised
from tunelab.evaluation.figures.figure import Figure, Floats, mean_figure
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.statistics.f1_sums import NO_LABEL, class_f1, label_sums, macro_f1, weighted_f1


def label_figures(labels: Sequence[str]) -> Sequence[Figure[EvaluatedRow]]:
    """Return every figure of answers that are labels, in the order of a report; all classes count, seen or not."""

    def summands(row: EvaluatedRow) -> tuple[float, ...]:
        if row.answer is None or row.item.label is None:
            return (0.0,) * (3 * len(labels) + 1)
        sums = label_sums([answered_label(row, labels)], [row.item.label], labels)
        return tuple(sums[0].tolist())

    def figure(name: str, title: str, meaning: str, value: Callable[[Floats], Floats]) -> Figure[EvaluatedRow]:
        return Figure(name=name, title=title, meaning=meaning, better="higher", summands=summands, value=value)

    return (
        mean_figure(
            "accuracy",
            title="Accuracy",
            meaning="answers that are the right label",
            better="higher",
            of=lambda row: None if row.answer is None else float(answered_label(row, labels) == row.item.label),
            is_share=True,
        ),
        figure("macro_f1", "Macro F1", f"mean F1 over the {len(labels)} labels, 0 to 1", macro_f1),
        figure("weighted_f1", "Weighted F1", "F1 of the labels, weighted by how often each is true", weighted_f1),
        *(
            figure(f"f1:{label}", f"F1 of {label}", f'F1 of the label "{label}"', _f1_of(place))
            for place, label in enumerate(labels)
        ),
        *_choice_figures(labels),
    )


def answered_label(row: EvaluatedRow, labels: Sequence[str]) -> str:
    """Return the label that an answer is, by the rule of `normalised`; `NO_LABEL` if it is none."""
    if row.answer is None:
        return NO_LABEL
    return _by_plain_text(tuple(labels)).get(normalised(row.answer.text), NO_LABEL)


@cache
def _by_plain_text(labels: tuple[str, ...]) -> Mapping[str, str]:
    return {normalised(label): label for label in labels}


def chosen_label(row: EvaluatedRow, labels: Sequence[str]) -> str | None:
    """Return the likeliest label; None if they were not scored."""
    return labels[int(np.argmax(row.choice_log_probs))] if row.choice_log_probs else None


def off_list_mass(row: EvaluatedRow) -> float | None:
    """Return the probability of answers that are none of the labels; None if they were not scored."""
    if not row.choice_log_probs:
        return None
    return float(np.clip(1 - np.exp(row.choice_log_probs).sum(), 0.0, 1.0))


def _choice_figures(labels: Sequence[str]) -> Sequence[Figure[EvaluatedRow]]:
    return (
        mean_figure(
            "choice_accuracy",
            title="Accuracy, by probability",
            meaning="rows whose likeliest label, its end of turn included, is the right one",
            better="higher",
            of=lambda row: float(chosen_label(row, labels) == row.item.label) if row.choice_log_probs else None,
            is_share=True,
        ),
        mean_figure(
            "off_list",
            title="Off the list",
            meaning="probability of answers that are no label, mean over rows",
            better="lower",
            of=off_list_mass,
        ),
    )


def _f1_of(place: int) -> Callable[[Floats], Floats]:
    return lambda sums: class_f1(sums)[..., place]
