"""Findings that are certain from a part of the data: the first of each kind, emitted while the rest is still read."""

import re
from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.rules.conversations import empty_answers, without_assistant
from tunelab.checks.rules.roles import order_of_roles
from tunelab.checks.rules.tokens import look_alikes as control_tokens_in_text
from tunelab.checks.rules.tools import calls_against_catalogue, calls_and_results, tools_defined_twice
from tunelab.conversations.conversation import Conversation
from tunelab.dataset.dataset import Dataset
from tunelab.events import EventLog, Found
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.tokens.lookalikes import look_alikes
from tunelab.rendering.tokens.tokenizer import Tokens

_BATCH = 256
_RULES = (
    without_assistant,
    empty_answers,
    order_of_roles,
    calls_against_catalogue,
    tools_defined_twice,
    calls_and_results,
    control_tokens_in_text,
)


class FirstFindings:
    """Takes conversations while others are read, and emits the first finding of each kind, without its figures.

    Args:
        events: where it is emitted.
        tokens: of the base model.
    """

    def __init__(self, events: EventLog, tokens: Tokens) -> None:
        self._events, self._tokens = events, tokens
        self._pending: list[Conversation] = []
        self._emitted: set[str] = set()

    def __call__(self, some: Sequence[Conversation]) -> None:
        """Check some conversations, together with some before them."""
        self._pending += some
        if len(self._pending) >= _BATCH:
            for first in self._found():
                if first.code not in self._emitted:
                    self._emitted.add(first.code)
                    self._events.emit(first)
            self._pending = []

    def _found(self) -> Iterator[Found]:
        with_look_alikes = tuple(item.origin for item in self._pending if _holds_control_words(item, self._tokens))
        nothing = RenderedSet(sequences=(), num_cut=0, num_cut_tokens=0, dropped=(), look_alikes=with_look_alikes)
        context = CheckContext(dataset=Dataset(train=self._pending, rendered_train=nothing))
        for rule in _RULES:
            for finding in rule(context):
                place, text = finding.examples[0].removesuffix("."), _FIGURES.sub(_noun_alone, finding.summary)
                yield Found(code=finding.code, severity=finding.severity, place=place, text=text)


def _holds_control_words(item: Conversation, tokens: Tokens) -> bool:
    messages = [
        {
            "role": message.role,
            "content": message.content or "",
            "reasoning": message.reasoning or "",
            "arguments": [dict(call.arguments) for call in message.tool_calls],
        }
        for message in item.messages
    ]
    return bool(look_alikes(messages, item.tools, tokens))


_FIGURES = re.compile(r"[\d,]+ of [\d,]+ (.+?)s? \((?:below )?[\d.]+ %\)")
"""Count and share (`phrases.found`): for a part of the data they mean nothing."""


def _noun_alone(figures: re.Match[str]) -> str:
    return f"{figures[1]}s"
