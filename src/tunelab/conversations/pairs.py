"""A question and an answer in named fields."""

from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import fault, fields_of, items, optional_text, text
from tunelab.sources import Row


def from_fields(question: str, answer: str, row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of a row that holds what the user says and what the assistant answers in two fields."""
    said = (text(fields_of(row)[side], side, row.origin) for side in (question, answer))
    return build(row, config, _exchange(*said))


def from_instruction(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"instruction", "input"?, "output", "system"?, "history"?}``.

    The history is a list of earlier [question, answer].
    """
    fields, origin = fields_of(row), row.origin
    messages: list[Message] = []
    past = fields.get("history")
    for number, turn in enumerate([] if past is None else items(past, "history", origin), start=1):
        sides = items(turn, f"history: turn {number}", origin)
        if len(sides) != 2:
            raise fault(origin, f"history: turn {number} has {len(sides)} entries", "a question and an answer")
        messages += _exchange(*(text(side, f"history: turn {number}", origin) for side in sides))
    instruction = text(fields["instruction"], "instruction", origin)
    context = optional_text(fields.get("input"), "input", origin)
    question = f"{instruction}\n\n{context}" if context else instruction
    return build(row, config, [*messages, *_exchange(question, text(fields["output"], "output", origin))])


def _exchange(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]
