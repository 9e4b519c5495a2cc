"""Conversations to look at: which ones, and what is shown of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tunelab.checks.context import Material
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import UserError, counted, did_you_mean
from tunelab.rendering.preview import Span
from tunelab.rendering.rendered import Rendered
from tunelab.texts.quality import repetition

Measure = Literal["length", "cut", "untrained", "short", "repetition"]
"""By what a conversation can be the worst: most tokens, most tokens cut, smallest share of trained tokens, shortest
answer, most repeated words in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message to look at."""

    role: str
    content: str
    """Text; empty where there is none."""
    reasoning: str
    calls: tuple[tuple[str, str], ...]
    """(name, arguments as indented JSON) of each tool call."""
    trained: bool
    """Whether loss falls on it in some sequence of the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The last sequence of a conversation, to look at; where nothing of it is trained, what the model would see."""

    origin: str
    chosen_for: str
    """What makes it one of the worst, such as ``11,837 tokens``; empty where it was drawn."""
    response_type: str
    """Kind of the answer: text, tool_calls, text_and_tool_calls, empty, plain_text; none where none can be shown."""
    num_prompt_tokens: int
    num_trained_tokens: int
    num_cut_tokens: int
    """Tokens that max_length took."""
    num_messages: int
    num_tools: int
    num_answers: int
    """Trained answers of this conversation; each is a sequence of its own, and the last one is shown."""
    session_id: str | None
    untrained: str
    """Why nothing of the conversation is trained; empty where something is."""
    spans: tuple[Span, ...]
    messages: tuple[Said, ...]
    """The conversation as it was read, before a template wrote it."""


def measure_named(name: str) -> Measure:
    """Return the measure of that name, in any case.

    Raises:
        UserError: there is none.
    """
    known: tuple[Measure, ...] = get_args(Measure)
    for measure in known:
        if measure == name.lower():
            return measure
    raise UserError(
        f'there is no measure "{name}"',
        where="--worst",
        remedy=did_you_mean(name.upper(), [each.upper() for each in known]),
    )


def choose(material: Material, count: int, *, worst: Measure | None, seed: int) -> list[tuple[int, str]]:
    """Return (index of a training conversation, why it was chosen) for `count` of them.

    Args:
        worst: the worst by this measure, the worst first; None draws at random, in the order of the data.
        seed: of the draw.
    """
    total = len(material.train)
    if worst is None:
        drawn = sorted(random.Random(seed).sample(range(total), min(count, total)))
        return [(index, "") for index in drawn]
    scores = _SCORES[worst](material)
    ranked = sorted((index for index in range(total) if index in scores), key=lambda index: (-scores[index][0], index))
    return [(index, scores[index][1]) for index in ranked[:count]]


Scores = dict[int, tuple[float, str]]


def _by_length(material: Material) -> Scores:
    lengths: dict[int, int] = {}
    for index, tokens, _, _ in _sequences(material):
        lengths[index] = max(lengths.get(index, 0), tokens)
    return {index: (size, counted(size, "token")) for index, size in lengths.items()}


def _by_cut(material: Material) -> Scores:
    lost: dict[int, int] = {}
    for index, _, cut, _ in _sequences(material):
        lost[index] = lost.get(index, 0) + cut
    return {index: (size, f"{counted(size, 'token')} cut") for index, size in lost.items() if size}


def _by_untrained(material: Material) -> Scores:
    totals: dict[int, list[int]] = {index: [0, 0] for index in range(len(material.train))}
    for index, tokens, _, trained in _sequences(material):
        totals[index][0] += tokens
        totals[index][1] += trained
    shares = {index: trained / max(tokens, 1) for index, (tokens, trained) in totals.items()}
    return {index: (-share, f"{100 * share:.1f} % of its tokens trained") for index, share in shares.items()}


def _by_shortness(material: Material) -> Scores:
    scores: Scores = {}
    for index, item in enumerate(material.train):
        if said := [len(text) for text in _answers(item)]:
            scores[index] = (-min(said), f"an answer of {counted(min(said), 'character')}")
    return scores


def _by_repetition(material: Material) -> Scores:
    owners = [(index, text) for index, item in enumerate(material.train) for text in _answers(item)]
    shares = repetition([text for _, text in owners])
    scores: Scores = {}
    for (index, _), share in zip(owners, shares, strict=True):
        if share > scores.get(index, (0.0, ""))[0]:
            scores[index] = (float(share), f"{100 * share:.0f} % of an answer's word runs stood there before")
    return scores


_SCORES = {
    "length": _by_length,
    "cut": _by_cut,
    "untrained": _by_untrained,
    "short": _by_shortness,
    "repetition": _by_repetition,
}


def _sequences(material: Material) -> Sequence[tuple[int, int, int, int]]:
    """Return (conversation, tokens before the cut, tokens cut, tokens trained), those that were left out included."""
    side = material.rendered_train
    if side is None:
        return []
    index_of = {item.origin: index for index, item in enumerate(material.train)}
    kept = [
        (each.conversation, each.num_tokens + _cut(each), _cut(each), len(each.completion_ids))
        for each in side.sequences
    ]
    gone = [(index_of[each.origin], each.num_tokens, each.num_tokens, 0) for each in side.dropped if each.turn >= 0]
    return [*kept, *gone]


def _cut(sequence: Rendered) -> int:
    return sequence.cut_prompt + sequence.cut_completion


def _answers(item: Conversation) -> list[str]:
    """Return the texts that are trained; bare tool calls have none."""
    if item.text is not None:
        return [item.text]
    return [text for turn in trained_turns(item) if (text := item.messages[turn].content or "").strip()]
