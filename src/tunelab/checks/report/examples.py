"""Conversations that are shown: which ones, and what of them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from tunelab.checks.context import CheckContext
from tunelab.checks.report.statistics import response_type
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import DataError, UserError, counted, did_you_mean
from tunelab.rendering.preview import PreviewSpan, preview
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.texts.quality import repetition

Measure = Literal["length", "cut", "untrained", "short", "repetition"]
"""By what a conversation can be the worst: most tokens, most tokens cut, smallest share of trained tokens, shortest
answer, most repeated words in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message as it was read."""

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
    """The last sequence of a conversation; if nothing of it is trained, what the model would see."""

    origin: str
    chosen_for: str
    """What makes it one of the worst, such as ``11,837 tokens``; empty if it was drawn at random."""
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
    spans: tuple[PreviewSpan, ...]
    messages: tuple[ShownMessage, ...]
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


def choose(context: CheckContext, count: int, *, worst: Measure | None, seed: int) -> list[tuple[int, str]]:
    """Return (index of a training conversation, why it was chosen) for `count` of them.

    Args:
        worst: the worst by this measure, the worst first; None draws at random, in the order of the data.
        seed: of the draw.
    """
    total = len(context.dataset.train)
    if worst is None:
        drawn = sorted(random.Random(seed).sample(range(total), min(count, total)))
        return [(index, "") for index in drawn]
    scores = _SCORES[worst](context)
    ranked = sorted((index for index in range(total) if index in scores), key=lambda index: (-scores[index][0], index))
    return [(index, scores[index][1]) for index in ranked[:count]]


Scores = dict[int, tuple[float, str]]


def _by_length(context: CheckContext) -> Scores:
    lengths: dict[int, int] = {}
    for index, tokens, _, _ in _sequences(context):
        lengths[index] = max(lengths.get(index, 0), tokens)
    return {index: (size, counted(size, "token")) for index, size in lengths.items()}


def _by_cut(context: CheckContext) -> Scores:
    lost: dict[int, int] = {}
    for index, _, cut, _ in _sequences(context):
        lost[index] = lost.get(index, 0) + cut
    return {index: (size, f"{counted(size, 'token')} cut") for index, size in lost.items() if size}


def _by_untrained(context: CheckContext) -> Scores:
    totals: dict[int, list[int]] = {index: [0, 0] for index in range(len(context.dataset.train))}
    for index, tokens, _, trained in _sequences(context):
        totals[index][0] += tokens
        totals[index][1] += trained
    shares = {index: trained / max(tokens, 1) for index, (tokens, trained) in totals.items()}
    return {index: (-share, f"{100 * share:.1f} % of its tokens trained") for index, share in shares.items()}


def _by_shortness(context: CheckContext) -> Scores:
    scores: Scores = {}
    for index, item in enumerate(context.dataset.train):
        if said := [len(text) for text in _answers(item)]:
            scores[index] = (-min(said), f"an answer of {counted(min(said), 'character')}")
    return scores


def _by_repetition(context: CheckContext) -> Scores:
    owners = [(index, text) for index, item in enumerate(context.dataset.train) for text in _answers(item)]
    shares = repetition([text for _, text in owners])
    scores: Scores = {}
    for (index, _), share in zip(owners, shares, strict=True):
        if share > scores.get(index, (0.0, ""))[0]:
            scores[index] = (float(share), f"{100 * share:.0f} % of an answer's word runs repeat earlier ones")
    return scores


_SCORES = {
    "length": _by_length,
    "cut": _by_cut,
    "untrained": _by_untrained,
    "short": _by_shortness,
    "repetition": _by_repetition,
}


def _sequences(context: CheckContext) -> Sequence[tuple[int, int, int, int]]:
    """Return (conversation, tokens before the cut, tokens cut, tokens trained), those that were left out included."""
    side = context.dataset.rendered_train
    if side is None:
        return []
    index_of = {item.origin: index for index, item in enumerate(context.dataset.train)}
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


def make_examples(
    context: CheckContext, renderer: Renderer, count: int, *, worst: Measure | None, seed: int
) -> tuple[Example, ...]:
    """Return `count` training conversations as they are trained: drawn at random, or the worst by a measure."""
    chosen = choose(context, count, worst=worst, seed=seed)
    answers: dict[int, list[Rendered]] = {index: [] for index, _ in chosen}
    for sequence in context.dataset.train_sequences:
        if sequence.conversation in answers:
            answers[sequence.conversation].append(sequence)
    return tuple(_example(context, renderer, index, reason, answers[index]) for index, reason in chosen)


def _example(
    context: CheckContext, renderer: Renderer, index: int, reason: str, trained: Sequence[Rendered]
) -> Example:
    conversation = context.dataset.train[index]
    shown = trained or _as_seen(conversation, renderer, context.max_length or 0)
    spans = [span for sequence in shown[-1:] for span in preview(sequence, renderer)]
    turns = {sequence.turn for sequence in trained}
    return Example(
        origin=str(conversation.origin),
        chosen_for=reason,
        response_type=response_type(conversation, shown[-1].turn) if shown else "none",
        num_prompt_tokens=sum(len(each.prompt_ids) for each in shown[-1:]),
        num_trained_tokens=sum(len(each.completion_ids) for each in trained[-1:]),
        num_cut_tokens=sum(each.cut_prompt + each.cut_completion for each in shown[-1:]),
        num_messages=len(conversation.messages),
        num_tools=len(conversation.tools),
        num_answers=len(trained),
        session_id=conversation.session_id,
        untrained="" if trained else _why_untrained(conversation, context),
        spans=tuple(spans if trained else [replace(span, trained=False) for span in spans]),
        messages=tuple(
            ShownMessage(
                role=message.role,
                content=message.content or "",
                reasoning=message.reasoning or "",
                calls=tuple((call.name, _shown(call.arguments)) for call in message.tool_calls),
                trained=place in turns,
            )
            for place, message in enumerate(conversation.messages)
        ),
    )


def _shown(arguments: object) -> str:
    return json.dumps(arguments, ensure_ascii=False, indent=2, default=str)


def _as_seen(conversation: Conversation, renderer: Renderer, max_length: int) -> list[Rendered]:
    try:
        return renderer.render(conversation, index=0, max_length=max_length)
    except DataError:  # what the template refuses cannot be shown
        return []


def _why_untrained(conversation: Conversation, context: CheckContext) -> str:
    origin = conversation.origin
    lost = [
        f"{each.reason}, {counted(each.num_tokens, 'token')}" if each.num_tokens else each.reason
        for each in (context.dataset.rendered_train.dropped if context.dataset.rendered_train else ())
        if each.origin == origin
    ]
    refused = [error.what for error in context.dataset.bad_turns if error.where.startswith(f"{origin}: ")]
    return "; ".join([*lost, *refused])
