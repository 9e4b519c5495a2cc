"""How good one answer is, and one loss. No data gives None, which says "no result"; it never gives 0.0."""

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

from tunelab.errors import MissingExtraError
from tunelab.evaluation.samples import Question, SampledAnswer

if TYPE_CHECKING:
    from sacrebleu.metrics import CHRF


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer(SampledAnswer):
    """An answer and how it compares to its reference."""

    exact: bool
    chrf: float


def score(answer: SampledAnswer, question: Question) -> ScoredAnswer:
    """Return the answer with its scores.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    reference = question.reference
    return ScoredAnswer(**asdict(answer), exact=exact_match(answer.text, reference), chrf=chrf(answer.text, reference))


def exact_match(answer: str, reference: str) -> bool:
    """Return True where answer and reference are the same text, white space around them aside."""
    return answer.strip() == reference.strip()


def chrf(answer: str, reference: str) -> float:
    """Return sacrebleu's sentence chrF2 (0 to 100): how many runs of 1 to 6 characters the two texts share.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    if exact_match(answer, reference):
        return 100.0  # also for texts too short to hold a run
    return float(_chrf().sentence_score(answer, [reference]).score)


def perplexity(loss: float | None) -> float | None:
    """Return exp(loss) of a mean loss in nats; None without a loss, or where the number would not be finite."""
    if loss is None or not math.isfinite(loss):
        return None
    try:
        return math.exp(loss)
    except OverflowError:
        return None


@cache
def _chrf() -> "CHRF":
    try:
        from sacrebleu.metrics import CHRF
    except ImportError as error:
        raise MissingExtraError("sacrebleu", extra="train") from error
    return CHRF()
