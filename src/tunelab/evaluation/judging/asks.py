"""What a judge is to be asked: one criterion of one row a call, and the key that the judgement is kept under."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.rubric import Criterion, criterion_hash
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, Item, WrittenAnswer
from tunelab.files import canonical_json, sha256_text

Shown = Literal["before first", "after first", "before", "after"]
"""Both answers in one of two orders; or one of them, to be rated by itself."""
_PROMPT_FORMAT = 1
"""Counted up when the words of the prompts change: what was judged by others is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRow:
    """An item with the answers of two models."""

    item: Item
    before: WrittenAnswer | None
    """None if only the later model is rated."""
    after: WrittenAnswer

    @property
    def is_equal(self) -> bool:
        """Whether both answers are the same text, so that there is nothing to ask."""
        return self.before is not None and _same_text(self.before.text, self.after.text)


def can_be_judged(item: Item) -> bool:
    """Return whether its answers are texts; a label or a tool call is right or wrong, and needs no judge.

    Nor do prompts that were changed on purpose: they are compared with the rows as they are.
    """
    return item.label is None and not item.calls and not item.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call to the judge."""

    row: JudgedRow
    criterion: Criterion
    shown: Shown
    repeat: int
    """0; 1 if the same is asked again."""
    key: str
    """Of the item, the criterion in its wording, the order, both answers and the judge."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers in the order in which the judge sees them."""
        return shown_texts(self.row, self.shown)


def joined_rows(after: Sequence[EvaluatedRow], before: Sequence[EvaluatedRow] | None) -> list[JudgedRow]:
    """Return the rows that both models answered in words, by item; those of the later one if `before` is None."""
    answers = {row.item.id: row.answer for row in before or ()}
    return [
        JudgedRow(item=row.item, before=answers.get(row.item.id), after=row.answer)
        for row in after
        if row.answer is not None
        and can_be_judged(row.item)
        and (before is None or answers.get(row.item.id) is not None)
    ]


def plan_asks(config: JudgeConfig, criteria: Sequence[Criterion], rows: Sequence[JudgedRow]) -> list[Ask]:
    """Return all calls that these rows need, in the order of the rows; equal answers need none.

    Args:
        config: of the judge.
        criteria: what is asked of each row.
        rows: with both answers; if answers are rated by themselves, `before` may be missing.
    """
    asks = []
    for row in rows:
        if config.pairwise and (row.before is None or row.is_equal):
            continue
        for criterion in criteria:
            for shown in _shown(row, pairwise=config.pairwise):
                asks.append(_ask(config, row, criterion, shown, repeat=0))
    first = [ask for ask in asks if ask.shown in ("before first", "after")]
    repeated = sorted(first, key=lambda ask: ask.key)[: math.ceil(config.repeat_share * len(first))]
    return asks + [_ask(config, ask.row, ask.criterion, ask.shown, repeat=1) for ask in repeated]


def most_calls(config: JudgeConfig, *, num_criteria: int, num_rows: int) -> int:
    """Return how many calls rows of two models can need at most, before their answers are known."""
    first = num_criteria * num_rows
    return 2 * first + math.ceil(config.repeat_share * first)


def shown_texts(row: JudgedRow, shown: Shown) -> tuple[str, ...]:
    """Return the answers of a row in the order in which they are shown."""
    before = "" if row.before is None else row.before.text
    if shown in ("before", "after"):
        return (before if shown == "before" else row.after.text,)
    return (before, row.after.text) if shown == "before first" else (row.after.text, before)


def text_hash(text: str) -> str:
    """Return a hash of any text, lone surrogates too."""
    return sha256_text(text.encode(errors="surrogatepass").hex())[:16]


def _shown(row: JudgedRow, *, pairwise: bool) -> tuple[Shown, ...]:
    if pairwise:
        return ("before first", "after first")
    return ("after",) if row.before is None else ("before", "after")


def _ask(config: JudgeConfig, row: JudgedRow, criterion: Criterion, shown: Shown, *, repeat: int) -> Ask:
    hashes = [text_hash(text) for text in shown_texts(row, shown)]
    about = [row.item.id, criterion.name, shown, repeat, hashes, config.model, criterion_hash(criterion)]
    key = sha256_text(canonical_json([_PROMPT_FORMAT, config.endpoint, config.temperature, *about]))[:32]
    return Ask(row=row, criterion=criterion, shown=shown, repeat=repeat, key=key)


def _same_text(one: str, other: str) -> bool:
    return one.strip() == other.strip()
