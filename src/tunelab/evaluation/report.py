"""The record of a comparison of base and tuned model: every row, and what the rows add up to."""

from collections import Counter
from dataclasses import dataclass, fields
from typing import Literal

import msgspec

from tunelab.errors import RunError
from tunelab.evaluation.samples import Question, UnaskedRows
from tunelab.evaluation.scorers import ScoredAnswer

Outcome = Literal["tuned", "base", "both", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One question with both answers."""

    question: Question
    base: ScoredAnswer
    tuned: ScoredAnswer

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
    method: str = ""
    """How the interval was made, e.g. ``Tango``; empty without one."""

    @property
    def verdict(self) -> Literal["better", "worse", "open"]:
        """What the interval shows; open where it holds zero or does not exist."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "open"
        return "better" if self.low > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSetting:
    """What was compared, and how answers were drawn; JSON holds what has a default only if it is another."""

    run: str
    base_model: str
    adapter: str
    """In words, e.g. ``LoRA, rank 16``."""
    data: str
    """Where the rows come from, in words."""
    max_new_tokens: int
    temperature: float
    seed: int
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop_strings: tuple[str, ...] = ()

    @property
    def at_default(self) -> frozenset[str]:
        """Names of the settings that have their default."""
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) == each.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A comparison, whole."""

    setting: ComparisonSetting
    num_sequences: int
    """Held-out sequences that the loss was measured on."""
    num_trained_tokens: int
    base: Totals
    tuned: Totals
    exact_match: Difference | None
    chrf: Difference | None
    rows: tuple[ComparedRow, ...]
    left_out: tuple[UnaskedRows, ...] = ()
    format: int = 1
    """Version of this record on disk."""

    def to_json(self) -> str:
        """Return the indented JSON of this report; the same report gives the same bytes."""
        record = msgspec.to_builtins(self)
        for name in self.setting.at_default:
            del record["setting"][name]
        return msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n"

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many rows have each outcome."""
        counts = Counter(row.outcome for row in self.rows)
        return {"tuned": counts["tuned"], "base": counts["base"], "both": counts["both"], "neither": counts["neither"]}


def read_report(text: str, *, where: str) -> Report:
    """Return the report that `to_json` wrote.

    Raises:
        RunError: the text is no report of this format.
    """
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise RunError(f"this is no report ({error})", where=where, remedy="Run tunelab compare again.") from error
