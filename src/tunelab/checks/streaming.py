"""What is certain of a part of the data already: the first finding of each kind, told while the rest is still read."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Severity
from tunelab.checks.rules.conversations import empty_answers, without_assistant
from tunelab.checks.rules.roles import order_of_roles
from tunelab.checks.rules.tokens import look_alikes as typed_control_tokens
from tunelab.checks.rules.tools import calls_against_catalogue, calls_and_results, tools_defined_twice
from tunelab.conversations.conversation import Conversation
from tunelab.dataset.dataset import Dataset
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFinding:
    """The first example of a kind of finding."""

    code: str
    severity: Severity
    place: str
    """File, line and message of the example."""
    says: str
    """What is wrong with it and its like, such as ``conversations begin with the assistant``."""

    def __str__(self) -> str:
        return f"{self.severity} {self.code}, first in {self.place}: {self.says}"


class EarlyLook:
    """Takes conversations one by one, and tells the first of each kind of finding once it has looked at some hundred.

    Args:
        on_first: told of it.
        tokens: of the base model.
    """

    def __init__(self, on_first: Callable[[FirstFinding], None], tokens: Tokens) -> None:
        self._on_first, self._tokens = on_first, tokens
        self._waiting: list[Conversation] = []
        self._told: set[str] = set()

    def take(self, conversation: Conversation) -> None:
        """Look at a conversation, together with some before it."""
        self._waiting.append(conversation)
        if len(self._waiting) == _TOGETHER:
            for first in self._found():
                if first.code not in self._told:
                    self._told.add(first.code)
                    self._on_first(first)
            self._waiting = []

    def _found(self) -> Iterator[FirstFinding]:
        typed = tuple(item.origin for item in self._waiting if _holds_control_words(item, self._tokens))
        nothing = RenderedSet(sequences=(), num_cut=0, num_cut_tokens=0, dropped=(), look_alikes=typed)
        context = CheckContext(dataset=Dataset(train=self._waiting, rendered_train=nothing))
        for look in _CHECKS:
            for finding in look(context):
                place, says = finding.examples[0].removesuffix("."), _FIGURES.sub(_all_of_them, finding.summary)
                yield FirstFinding(code=finding.code, severity=finding.severity, place=place, says=says)


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
