"""Base model against tuned model: every row, and what they add up to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import msgspec

from tunelab.errors import RunError
from tunelab.evaluation.metrics import chrf, exact_match, mean, paired_interval, perplexity

Outcome = Literal["tuned", "base", "both", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A held-out prompt and the answer that the data gives to it."""

    origin: str
    """file:line."""
    group: str
    """Questions of one conversation or session share it."""
    asked: str
    """The message that is answered."""
    prompt: str
    """All the model sees, as text, its template's marks included."""
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one side wrote."""

    text: str
    stopped: bool
    """True where the model ended by itself."""
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutLoss:
    """Loss over all held-out sequences, answered or not."""

    mean: float | None
    """Nats per trained token; None where nothing was trained in them."""
    num_sequences: int
    num_trained_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models: its answers in the order of the questions, and its loss."""

    answers: Sequence[Answer]
    loss: HeldOutLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Answer):
    """An answer and how it compares to its reference."""

    exact: bool
    chrf: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One question with both answers."""

    question: Question
    base: Scored
    tuned: Scored

    @property
    def outcome(self) -> Outcome:
        """Which side answered exactly as the reference."""
        if self.base.exact == self.tuned.exact:
            return "both" if self.base.exact else "neither"
        return "tuned" if self.tuned.exact else "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What one side's rows add up to; None where there was nothing to measure."""

    loss: float | None
    """Nats per trained token."""
    perplexity: float | None
    exact_match: float | None
    """Share of rows, 0 to 1."""
    chrf: float | None
    """Mean over rows, 0 to 100."""
    stopped: float | None
    """Share of answers that ended by themselves."""
    answer_tokens: float | None
    """Mean length of the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Tuned minus base, with the ends of its 95 % interval where there are enough rows for one."""

    value: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> Literal["better", "worse", "open"]:
        """What the interval shows; open where it holds zero or does not exist."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "open"
        return "better" if self.low > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Held-out sequences that were not answered."""

    reason: str
    count: int
    example: str
    """file:line of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What was compared, and how answers were drawn."""

    run: str
    base_model: str
    adapter: str
    """In words, e.g. ``LoRA, rank 16``."""
    data: str
    """Where the rows come from, in words."""
    max_new_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A comparison, whole."""

    setting: Setting
    num_sequences: int
    """Held-out sequences that the loss was measured on."""
    num_trained_tokens: int
    base: Totals
    tuned: Totals
    exact_match: Difference | None
    chrf: Difference | None
    rows: tuple[ReportRow, ...]
    left_out: tuple[LeftOut, ...] = ()
    format: int = 1
    """Version of this record on disk."""

    def to_json(self) -> str:
        """Return the indented JSON of this report; the same report gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many rows have each outcome."""
        counts = Counter(row.outcome for row in self.rows)
        return {"tuned": counts["tuned"], "base": counts["base"], "both": counts["both"], "neither": counts["neither"]}


def compare(
    base: Side, tuned: Side, references: Sequence[Question], *, setting: Setting, left_out: Sequence[LeftOut] = ()
) -> Report:
    """Return the report of two sides that answered the same questions.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    pairs = zip(references, base.answers, tuned.answers, strict=True)
    rows = tuple(
        ReportRow(question=question, base=_score(first, question), tuned=_score(second, question))
        for question, first, second in pairs
    )
    groups = [row.question.group for row in rows]
    exact = [float(row.tuned.exact) - float(row.base.exact) for row in rows]
    closeness = [row.tuned.chrf - row.base.chrf for row in rows]
    return Report(
        setting=setting,
        num_sequences=tuned.loss.num_sequences,
        num_trained_tokens=tuned.loss.num_trained_tokens,
        base=_totals([row.base for row in rows], base.loss),
        tuned=_totals([row.tuned for row in rows], tuned.loss),
        exact_match=_difference(exact, groups, seed=setting.seed),
        chrf=_difference(closeness, groups, seed=setting.seed),
        rows=rows,
        left_out=tuple(left_out),
    )


def read_report(text: str, *, where: str) -> Report:
    """Return the report that `to_json` wrote.

    Raises:
        RunError: the text is no report of this format.
    """
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise RunError(f"this is no report ({error})", where=where, remedy="Run tunelab compare again.") from error


def _score(answer: Answer, question: Question) -> Scored:
    reference = question.reference
    return Scored(**asdict(answer), exact=exact_match(answer.text, reference), chrf=chrf(answer.text, reference))


def _totals(rows: Sequence[Scored], loss: HeldOutLoss) -> Totals:
    return Totals(
        loss=loss.mean,
        perplexity=perplexity(loss.mean),
        exact_match=mean([row.exact for row in rows]),
        chrf=mean([row.chrf for row in rows]),
        stopped=mean([row.stopped for row in rows]),
        answer_tokens=mean([row.num_tokens for row in rows]),
    )


def _difference(differences: Sequence[float], groups: Sequence[str], *, seed: int) -> Difference | None:
    value = mean(differences)
    if value is None:
        return None
    low, high = paired_interval(differences, groups, seed=seed) or (None, None)
    return Difference(value=value, low=low, high=high)
