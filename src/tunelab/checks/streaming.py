"""What is certain of a part of the data already: the first finding of each kind, told while the rest is still read."""

import re
from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.rules.conversations import empty_answers, without_assistant
from tunelab.checks.rules.roles import order_of_roles
from tunelab.checks.rules.tokens import look_alikes as typed_control_tokens
from tunelab.checks.rules.tools import calls_against_catalogue, calls_and_results, tools_defined_twice
from tunelab.conversations.conversation import Conversation
from tunelab.dataset.dataset import Dataset
from tunelab.events import EventLog, Found
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.tokens.lookalikes import look_alikes
from tunelab.rendering.tokens.tokenizer import Tokens

_TOGETHER = 256
_CHECKS = (
    without_assistant,
    empty_answers,
    order_of_roles,
    calls_against_catalogue,
    tools_defined_twice,
    calls_and_results,
    typed_control_tokens,
)


class EarlyLook:
    """Takes conversations while others are read, and tells the first of each kind of finding, without its figures.

    Args:
        events: where it is told.
        tokens: of the base model.
    """

    def __init__(self, events: EventLog, tokens: Tokens) -> None:
        self._events, self._tokens = events, tokens
        self._waiting: list[Conversation] = []
        self._told: set[str] = set()

    def __call__(self, some: Sequence[Conversation]) -> None:
        """Look at some conversations, together with some before them."""
        self._waiting += some
        if len(self._waiting) >= _TOGETHER:
            for first in self._found():
                if first.code not in self._told:
                    self._told.add(first.code)
                    self._events.emit(first)
            self._waiting = []

    def _found(self) -> Iterator[Found]:
        typed = tuple(item.origin for item in self._waiting if _holds_control_words(item, self._tokens))
        nothing = RenderedSet(sequences=(), num_cut=0, num_cut_tokens=0, dropped=(), look_alikes=typed)
        context = CheckContext(dataset=Dataset(train=self._waiting, rendered_train=nothing))
        for look in _CHECKS:
            for finding in look(context):
                place, text = finding.examples[0].removesuffix("."), _FIGURES.sub(_all_of_them, finding.summary)
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
"""How many of how many (`phrases.found`): of a part of the data, that is nothing to tell."""


def _all_of_them(figures: re.Match[str]) -> str:
    return f"{figures[1]}s"
