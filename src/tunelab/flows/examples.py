"""Conversations as they are trained, to look at."""

import json
from collections.abc import Sequence
from dataclasses import replace

from tunelab.checks.context import Material
from tunelab.checks.report.examples import Example, Measure, Said, choose
from tunelab.checks.report.statistics import response_type
from tunelab.conversations import Conversation
from tunelab.errors import DataError, counted
from tunelab.rendering.preview import preview
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer


def make_examples(
    material: Material, renderer: Renderer, count: int, *, worst: Measure | None, seed: int
) -> tuple[Example, ...]:
    """Return `count` training conversations as they are trained: drawn at random, or the worst by a measure."""
    chosen = choose(material, count, worst=worst, seed=seed)
    answers: dict[int, list[Rendered]] = {index: [] for index, _ in chosen}
    for sequence in material.rendered_train.sequences if material.rendered_train else ():
        if sequence.conversation in answers:
            answers[sequence.conversation].append(sequence)
    return tuple(_example(material, renderer, index, reason, answers[index]) for index, reason in chosen)


def _example(material: Material, renderer: Renderer, index: int, reason: str, trained: Sequence[Rendered]) -> Example:
    conversation = material.train[index]
    shown = trained or _as_seen(conversation, renderer, material.max_length or 0)
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
        untrained="" if trained else _why_untrained(conversation, material),
        spans=tuple(spans if trained else [replace(span, trained=False) for span in spans]),
        messages=tuple(
            Said(
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


def _why_untrained(conversation: Conversation, material: Material) -> str:
    origin = conversation.origin
    lost = [
        f"{each.reason}, {counted(each.num_tokens, 'token')}" if each.num_tokens else each.reason
        for each in (material.rendered_train.dropped if material.rendered_train else ())
        if each.origin == origin
    ]
    refused = [error.what for error in material.bad_turns if error.where.startswith(f"{origin}: ")]
    return "; ".join([*lost, *refused])
