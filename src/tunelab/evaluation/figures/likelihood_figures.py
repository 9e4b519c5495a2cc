"""Figures of how likely a model holds the references."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tunelab.evaluation.figures.figure import Figure, Floats, ratio
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow


def _nats_and_tokens(row: EvaluatedRow) -> tuple[float, float]:
    return (0.0, 0.0) if row.nats is None else (row.nats, float(row.num_scored_tokens))


def _nats_and_bytes(row: EvaluatedRow) -> tuple[float, float]:
    num_bytes = len(row.item.reference.encode(errors="replace"))
    return (0.0, 0.0) if row.nats is None or not num_bytes else (row.nats, float(num_bytes))


def _per(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


def _perplexity(sums: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(_per(sums)))


LIKELIHOOD: Sequence[Figure[EvaluatedRow]] = (
    Figure(
        name="loss",
        title="Loss",
        meaning="nats per token of the references",
        better="lower",
        summands=_nats_and_tokens,
        value=_per,
    ),
    Figure(
        name="perplexity",
        title="Perplexity",
        meaning="exp(loss): tokens it hesitates between",
        better="lower",
        summands=_nats_and_tokens,
        value=_perplexity,
    ),
    Figure(
        name="bits_per_byte",
        title="Bits per byte",
        meaning="of the references' text, whatever the tokenizer",
        better="lower",
        summands=_nats_and_bytes,
        value=lambda sums: _per(sums) / math.log(2),
    ),
)
"""Every figure of likelihood, in the order of a report."""


def by_what_is_measured(
    figures: Sequence[Figure[EvaluatedRow]],
) -> list[tuple[list[Figure[EvaluatedRow]], Callable[[EvaluatedRow], bool]]]:
    """Return figures of answers and figures of likelihood, each with what says whether a row has what they measure."""
    answers = [figure for figure in figures if figure not in LIKELIHOOD]
    likelihood = [figure for figure in figures if figure in LIKELIHOOD]
    return [(answers, lambda row: row.answer is not None), (likelihood, lambda row: row.nats is not None)]
