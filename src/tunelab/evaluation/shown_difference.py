"""What the rows of a comparison could have shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.statistics.groups import intraclass_correlation
from tunelab.evaluation.statistics.power import design_effect, difference_shown


def shown_difference(
    before: Sequence[EvaluatedRow], after: Sequence[EvaluatedRow], is_right: Callable[[EvaluatedRow], bool | None]
) -> float | None:
    """Return the least difference of right answers that so many rows show four times in five.

    With as many rows changed from right to wrong or back as were seen, and as much alike within a group.
    """
    pairs = [(row, is_right(other), is_right(row)) for other, row in zip(before, after, strict=True)]
    flips = [float(now) - float(was) for _, was, now in pairs if was is not None and now is not None]
    groups = [row.item.group for row, was, now in pairs if was is not None and now is not None]
    if not any(flips):
        return None
    share = float(np.mean(np.abs(flips)))
    sizes = np.unique(np.asarray(groups), return_counts=True)[1]
    design = design_effect(float((sizes**2).sum() / sizes.sum()), intraclass_correlation(flips, groups) or 0.0)
    return difference_shown(len(flips), flips=share, design=design)
