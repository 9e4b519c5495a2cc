"""Whether two raters, or a judge and a person, say the same more often than by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cohen_kappa(first: Sequence[int], second: Sequence[int], *, is_ordered: bool = False) -> float | None:
    """Return Cohen's kappa of two raters over the same items: 1 for the same ratings, 0 for agreement by chance.

    Args:
        first: the ratings of one.
        second: those of the other.
        is_ordered: weigh a disagreement by the square of its distance, as for 1 to 5; else every one counts the same.

    Returns:
        None of no items, and if both gave one and the same rating throughout: chance then explains everything.
    """
    values = sorted({*first, *second})
    if len(values) < 2:
        return None
    places = {value: index for index, value in enumerate(values)}
    seen = np.zeros((len(values), len(values)))
    for pair in zip(first, second, strict=True):
        seen[places[pair[0]], places[pair[1]]] += 1
    by_chance = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / seen.sum()
    scale = np.array(values, dtype=np.float64) if is_ordered else None
    weights = 1 - np.eye(len(values)) if scale is None else (scale[:, None] - scale[None, :]) ** 2
    return float(1 - (weights * seen).sum() / (weights * by_chance).sum())
