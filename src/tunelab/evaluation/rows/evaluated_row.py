"""What a model is asked, and what came of it. Items are the same for every model; answers are its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TaskKind = Literal["generation", "labels", "json", "tools", "loss"]
"""What the figures of a task are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """A tool call that the reference makes."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One prompt with the answer that the data gives to it."""

    id: str
    """Hexadecimal digits, from the content of the row and its variant, wherever it lies."""
    task: str
    """Name of its task in the suite."""
    origin: str
    """file:line."""
    group: str
    """Items of one conversation or session share it: they depend on each other."""
    asked: str
    """The message that is answered."""
    prompt: str
    """All the model sees, as text, its template's marks included."""
    reference: str
    """Empty for prompts without a right answer."""
    num_prompt_tokens: int
    label: str | None = None
    """The right one of the task's labels; None for tasks without labels."""
    calls: tuple[ExpectedCall, ...] | None = None
    """The calls of the reference, none of an answer in words; None for prompts that offer no tools."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """By which rows are sliced: ``language``, ``turn``, fields of the data …"""
    variant: str = ""
    """How the prompt was changed, e.g. ``typos``; empty for the row as it is."""
    variant_of: str = ""
    """The id of the item as it is."""
    variant_note: str = ""
    """What belongs to the change: the answer that an injection asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAnswer:
    """What a model wrote."""

    text: str
    num_tokens: int
    stopped: bool
    """True if it ended by itself; False if the token limit cut it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedRow:
    """An item with all that one model made of it."""

    item: Item
    answer: WrittenAnswer | None = None
    """None if the model was not asked for one."""
    choice_log_probs: tuple[float, ...] = ()
    """Nats of each whole label of the task, end-of-turn token included; empty if they were not scored."""
    nats: float | None = None
    """Negative log-probability of the whole reference; None if it was not measured."""
    num_scored_tokens: int = 0
    """Tokens of the reference that `nats` is of, its end-of-turn token included."""
    in_training: bool = False
    """Whether the model's training rows hold the same prompt, so that memory may answer."""
    counts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """What figures of texts are made of, by name, counted once; what is not here is counted when it is asked for."""
