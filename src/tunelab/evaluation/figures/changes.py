"""How the figures of a task changed between two models, each over the rows that both have for it."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.likelihood_figures import LIKELIHOOD
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
    likelihood = [figure for figure in figures if figure in LIKELIHOOD]
    answers = [figure for figure in figures if figure not in LIKELIHOOD]
    answered = [row.answer is not None and other.answer is not None for row, other in zip(before, after, strict=True)]
    scored = [row.nats is not None and other.nats is not None for row, other in zip(before, after, strict=True)]
    for some, counts in ((answers, answered), (likelihood, scored)):
        own, other = ([row for row, is_one in zip(rows, counts, strict=True) if is_one] for rows in (before, after))
        groups = [row.item.group for row in own]
        found |= {change.name: change for change in compare_figures(some, own, other, groups, seed=seed)}
    return [found[figure.name] for figure in figures]
