"""F1 as a function of sums over rows, so that resampling needs to add up each group only once.

Legend: N rows, C classes. An answer that is none of the labels is a class of its own, `NO_LABEL`: it has no rows that
are truly so, and counts as a wrong answer to whichever class the row has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NO_LABEL = "(no label)"


def label_sums(answers: Sequence[str], truths: Sequence[str], labels: Sequence[str]) -> Floats:
    """Return for each row its summands (N × 3 C + 1): right, answered and true for each class, and one for the row.

    Args:
        answers: what was answered; anything that is not in `labels` is no label.
        truths: the right labels, all of them in `labels`.
        labels: the classes, in a fixed order: those of the suite, not those that happen to occur.
    """
    places = {label: index for index, label in enumerate(labels)}
    sums_NF = np.zeros((len(answers), 3 * len(labels) + 1))
    sums_NF[:, -1] = 1
    for row, (answer, truth) in enumerate(zip(answers, truths, strict=True)):
        sums_NF[row, 2 * len(labels) + places[truth]] = 1
        if answer in places:
            sums_NF[row, len(labels) + places[answer]] = 1
            sums_NF[row, places[truth]] = float(answer == truth)
    return sums_NF


def class_f1(sums: Floats) -> Floats:
    """Return the F1 of each class (… × C); 0 for one that neither occurs nor is answered, NaN of no rows."""
    right, answered, true, rows = _parts(sums)
    both = answered + true
    f1 = np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
    return np.where(rows[..., None] > 0, f1, np.nan)


def macro_f1(sums: Floats) -> Floats:
    """Return the mean F1 over all classes of the suite."""
    return np.asarray(class_f1(sums).mean(axis=-1))


def weighted_f1(sums: Floats) -> Floats:
    """Return the mean F1, each class weighted by how often it is true."""
    _, _, true, rows = _parts(sums)
    weighted = (class_f1(sums) * true).sum(axis=-1)
    return np.asarray(np.divide(weighted, rows, out=np.full_like(rows, np.nan), where=rows > 0))


def confusion(answers: Sequence[str], truths: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return how often each true label (row) got each answer (column); the last column is no label (C × C + 1)."""
    places = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
    for answer, truth in zip(answers, truths, strict=True):
        counts[places[truth], places.get(answer, len(labels))] += 1
    return counts


def _parts(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    classes = (sums.shape[-1] - 1) // 3
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes : -1], sums[..., -1]
