"""How the figures of a task changed between two models, each over the rows that both have for it."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.likelihood_figures import by_what_is_measured
from tunelab.evaluation.figures.measure import FigureChange, compare_figures
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow


def changes_of(
    figures: Sequence[Figure[EvaluatedRow]],
    before: Sequence[EvaluatedRow],
    after: Sequence[EvaluatedRow],
    *,
    seed: int,
) -> list[FigureChange]:
    """Return how figures changed: of answers over the rows that both answered, of likelihood over those both scored."""
    found: dict[str, FigureChange] = {}
    for some, has in by_what_is_measured(figures):
        pairs = [pair for pair in zip(before, after, strict=True) if all(map(has, pair))]
        own, other = [first for first, _ in pairs], [second for _, second in pairs]
        groups = [row.item.group for row in own]
        found |= {change.name: change for change in compare_figures(some, own, other, groups, seed=seed)}
    return [found[figure.name] for figure in figures]
