"""Figures of written answers against their references: equal, close, as long, ended.

chrF and BLEU are those of sacrebleu, from the counts that each row adds: so the figure of a resample is that of the
corpus it is, and not a mean of rows.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tunelab.errors import MissingExtraError
from tunelab.evaluation.figures.figure import Figure, Floats, mean_figure, ratio
from tunelab.evaluation.figures.rouge import rouge_l
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, WrittenAnswer

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

NORMALISATION = "Unicode NFKC, case folded, white space as one blank, punctuation at the ends left out"
"""The rule of `normalised`, in words."""
_CHRF_ORDERS = 6
_CHRF_BETA = 2
_BLEU_ORDERS = 4


def normalised(text: str) -> str:
    """Return a text by the rule that `NORMALISATION` states."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    whole = " ".join(words)
    start, end = 0, len(whole)
    while start < end and unicodedata.category(whole[start])[0] in "PZ":
        start += 1
    while end > start and unicodedata.category(whole[end - 1])[0] in "PZ":
        end -= 1
    return whole[start:end]


def chrf_counts(answer: str, reference: str) -> tuple[float, ...]:
    """Return how many runs of 1, 2, … 6 characters the answer has, the reference has, and both share."""
    texts = ["".join(text.split()) for text in (answer, reference)]
    counts: list[float] = []
    for order in range(1, _CHRF_ORDERS + 1):
        own, other = (Counter(text[start : start + order] for start in range(len(text) - order + 1)) for text in texts)
        counts += [own.total() if other else 0, other.total(), (own & other).total()]  # as sacrebleu counts
    return tuple(counts)


def chrf_value(sums: Floats) -> Floats:
    """Return the chrF2 of summed counts (… × 18), 0 to 100, NaN without references: F of mean precision and recall."""
    own, other, both = (sums[..., part::3] for part in range(3))
    occurs = (own > 0) & (other > 0)
    num_orders = occurs.sum(axis=-1).astype(np.float64)
    precision, recall = (
        ratio(np.where(occurs, np.nan_to_num(ratio(both, all_of)), 0.0).sum(axis=-1), num_orders)
        for all_of in (own, other)
    )
    factor = _CHRF_BETA**2
    value = 100 * np.nan_to_num(ratio((1 + factor) * precision * recall, factor * precision + recall))
    return np.where(other.sum(axis=-1) > 0, value, np.nan)


def bleu_counts(answer: str, reference: str) -> tuple[float, ...]:
    """Return matched and present runs of 1 to 4 words, and both lengths, as sacrebleu counts them.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    found = _bleu().sentence_score(answer, [reference])
    return (*map(float, found.counts), *map(float, found.totals), float(found.sys_len), float(found.ref_len))


def bleu_value(sums: Floats) -> Floats:
    """Return the corpus BLEU of summed counts (… × 10), 0 to 100, smoothed as in sacrebleu; NaN without references."""
    matched, present = sums[..., :_BLEU_ORDERS], sums[..., _BLEU_ORDERS : 2 * _BLEU_ORDERS]
    own, other = sums[..., -2], sums[..., -1]
    # an order without a match counts as half a match, the next one as a quarter, and so on
    misses = np.cumsum((matched == 0) & (present > 0), axis=-1)
    precision = np.where(matched > 0, ratio(matched, present), ratio(np.ones_like(present), 2.0**misses * present))
    occurs = present > 0
    logs = np.where(occurs, np.log(np.where(occurs, precision, 1.0)), 0.0).sum(axis=-1)
    mean_log = ratio(logs, occurs.sum(axis=-1).astype(np.float64))  # only orders that are there: the effective ones
    brevity = np.where(own < other, np.exp(1 - ratio(other, own)), 1.0)
    value = np.where(matched.sum(axis=-1) > 0, brevity * np.exp(mean_log), 0.0)
    return np.where(other > 0, 100 * np.nan_to_num(value), np.nan)


def bleu_signature() -> str:
    """Return how sacrebleu describes its settings."""
    _bleu().corpus_score(["a"], [["a"]])
    return str(_bleu().get_signature())


def of_texts(measured: Callable[[str, str], float | None]) -> Callable[[EvaluatedRow], float | None]:
    """Return the function of a row that is one of its answer and its reference; None without an answer."""
    return lambda row: None if row.answer is None else measured(row.answer.text, row.item.reference)


def is_exact(answer: str, reference: str) -> bool:
    """Return whether two texts are the same, white space at the ends aside."""
    return answer.strip() == reference.strip()


def is_normalised_match(answer: str, reference: str) -> bool:
    """Return whether two texts are the same by the rule that `NORMALISATION` states."""
    return normalised(answer) == normalised(reference)


def _of_answer(measured: Callable[[WrittenAnswer], float]) -> Callable[[EvaluatedRow], float | None]:
    return lambda row: None if row.answer is None else measured(row.answer)


def with_counts(row: EvaluatedRow) -> EvaluatedRow:
    """Return a row with what figures of texts are made of, which takes the most time of a comparison.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    if row.answer is None:
        return row
    texts = row.answer.text, row.item.reference
    return replace(row, counts={name: counted(*texts) for name, counted in _COUNTED.items()})


def _counts(name: str, size: int) -> Callable[[EvaluatedRow], tuple[float, ...]]:
    """Return the function of a row that is its counts of that name; zeros without an answer."""

    def of(row: EvaluatedRow) -> tuple[float, ...]:
        if row.answer is None:
            return (0.0,) * size
        found = row.counts.get(name)
        return _COUNTED[name](row.answer.text, row.item.reference) if found is None else tuple(found)

    return of


def _first_count(name: str) -> Callable[[EvaluatedRow], float | None]:
    counts = _counts(name, 1)
    return lambda row: None if row.answer is None else counts(row)[0]


def _lengths(row: EvaluatedRow) -> tuple[float, float]:
    return (0.0, 0.0) if row.answer is None else (float(len(row.answer.text)), float(len(row.item.reference)))


def _row_chrf(answer: str, reference: str) -> float:
    if is_exact(answer, reference):
        return 100.0  # also of texts too short to hold a run
    return float(np.nan_to_num(chrf_value(np.array(chrf_counts(answer, reference)))))


_COUNTED: Mapping[str, Callable[[str, str], tuple[float, ...]]] = {
    "chrf": chrf_counts,
    "mean_chrf": lambda answer, reference: (_row_chrf(answer, reference),),
    "bleu": bleu_counts,
    "rouge_l": lambda answer, reference: (rouge_l(answer, reference),),
}

ANSWERS: Sequence[Figure[EvaluatedRow]] = (
    mean_figure(
        "exact_match",
        title="Exact match",
        meaning="answers equal to the reference, white space at the ends aside",
        better="higher",
        of=of_texts(is_exact),
        is_share=True,
    ),
    mean_figure(
        "normalised_match",
        title="Match, normalised",
        meaning=f"answers equal to the reference after: {NORMALISATION}",
        better="higher",
        of=of_texts(is_normalised_match),
        is_share=True,
    ),
    Figure(
        name="chrf",
        title="chrF",
        meaning="runs of 1 to 6 characters shared with the reference, of all answers together, 0 to 100",
        better="higher",
        summands=_counts("chrf", 3 * _CHRF_ORDERS),
        value=chrf_value,
    ),
    mean_figure(
        "mean_chrf",
        title="chrF, mean",
        meaning="the same of each answer, mean over rows",
        better="higher",
        of=_first_count("mean_chrf"),
    ),
    Figure(
        name="bleu",
        title="BLEU",
        meaning="runs of 1 to 4 words shared with the reference, of all answers together, 0 to 100",
        better="higher",
        summands=_counts("bleu", 2 * _BLEU_ORDERS + 2),
        value=bleu_value,
    ),
    mean_figure(
        "rouge_l",
        title="ROUGE-L",
        meaning="longest common series of words, F1 against the reference, mean over rows, 0 to 1",
        better="higher",
        of=_first_count("rouge_l"),
    ),
    Figure(
        name="length_ratio",
        title="Length ratio",
        meaning="characters of all answers over those of all references",
        better="",
        summands=_lengths,
        value=lambda sums: ratio(sums[..., 0], sums[..., 1]),
    ),
    mean_figure(
        "stopped",
        title="Stopped by itself",
        meaning="answers that ended before the token limit",
        better="higher",
        of=_of_answer(lambda answer: answer.stopped),
        is_share=True,
    ),
    mean_figure(
        "answer_tokens",
        title="Answer length",
        meaning="mean tokens per answer",
        better="",
        of=_of_answer(lambda answer: answer.num_tokens),
    ),
)
"""Every figure of written answers, in the order of a report."""


@cache
def _bleu() -> BLEU:
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise MissingExtraError("sacrebleu", extra="train") from error
    return BLEU(effective_order=True)
