"""Checks of who speaks when: the order of roles, messages without words."""

from collections.abc import Callable, Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding, Severity
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.conversation import Conversation, Message

Fault = Callable[[Conversation], int]
"""Returns the number of the first message with the fault, from 1; 0 where a conversation has none."""


@rule("role_repeated", "assistant_first", "system_in_middle", "empty_message", "ends_unanswered")
def order_of_roles(context: CheckContext) -> Iterator[Finding]:
    """Conversations whose messages are in an order that few chat templates are made for."""
    chats = [item for item in context.dataset.conversations if item.text is None]

    def finding(fault: Fault, says: str, code: str, severity: Severity, why: str, remedy: str) -> Iterator[Finding]:
        places = [f"{item.origin}: message {number}" for item in chats if (number := fault(item))]
        yield from found(places, len(chats), "conversation", says, code=code, severity=severity, why=why, remedy=remedy)

    yield from finding(
        _repeated,
        "hold two messages of the user, or two answers, in a row",
        "role_repeated",
        "warning",
        "Serving alternates: the model is trained on an order that it will not be sent, and some templates refuse it.",
        "Join the two into one message, or put the missing one between them.",
    )
    yield from finding(
        _assistant_first,
        "begin with the assistant",
        "assistant_first",
        "warning",
        "An answer to nothing is trained, and many chat templates refuse a conversation without a question before it.",
        "Put the question before it; a greeting of the assistant's belongs into the system prompt.",
    )
    yield from finding(
        _late_system,
        "hold a system message after the first message",
        "system_in_middle",
        "warning",
        "Most chat templates drop it, move it or refuse it.",
        "Join it to the first system message, or make it a message of the user.",
    )
    yield from finding(
        _wordless,
        "hold a message without words",
        "empty_message",
        "warning",
        "Nothing is said there; such a row is mostly the remains of a failed export.",
        "Fill the message or remove the row.",
    )
    yield from finding(
        _unanswered,
        "end with a message without an answer",
        "ends_unanswered",
        "note",
        "Nothing after the last answer is trained or seen by the model.",
        "Add the answer, or cut the conversation after its last answer.",
    )


def _repeated(item: Conversation) -> int:
    before: Message | None = None
    for number, message in enumerate(item.messages, start=1):
        again = before is not None and not before.tool_calls and message.role == before.role
        if again and message.role in ("user", "assistant"):  # calls without a result are reported as such
            return number
        before = message
    return 0


def _assistant_first(item: Conversation) -> int:
    for number, message in enumerate(item.messages, start=1):
        if message.role != "system":
            return number if message.role == "assistant" else 0
    return 0


def _late_system(item: Conversation) -> int:
    return next((n for n, each in enumerate(item.messages, start=1) if n > 1 and each.role == "system"), 0)


def _wordless(item: Conversation) -> int:
    # An assistant's empty answer is a finding of its own, and a tool may give nothing.
    spoken = ((n, each) for n, each in enumerate(item.messages, start=1) if each.role in ("user", "system"))
    return next((n for n, each in spoken if not (each.content or "").strip()), 0)


def _unanswered(item: Conversation) -> int:
    last = item.messages[-1] if item.messages else None
    has_answer = any(each.role == "assistant" for each in item.messages)
    return len(item.messages) if has_answer and last is not None and last.role != "assistant" else 0
