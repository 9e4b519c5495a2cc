"""A question and an answer in named fields."""

from dataclasses import dataclass

from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.format import build, fields_of
from tunelab.conversations.values import fault, items, optional_text, text
from tunelab.sources import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two fields: what the user says, and what the assistant answers."""

    name: FormatName
    question: str
    answer: str

    @property
    def shape(self) -> str:
        return f'"{self.question}" and "{self.answer}"'

    def recognises(self, row: Row) -> bool:
        return {self.question, self.answer} <= fields_of(row).keys()

    def convert(self, row: Row, config: ConversationConfig) -> Conversation:
        said = (text(fields_of(row)[side], side, row.origin) for side in (self.question, self.answer))
        return build(row, config, _exchange(*said))


class Instruction:
    """``{"instruction", "input"?, "output", "system"?, "history"?: [[question, answer], …]}``."""

    name: FormatName = "instruction"
    shape = '"instruction" and "output"'

    def recognises(self, row: Row) -> bool:
        return {"instruction", "output"} <= fields_of(row).keys()

    def convert(self, row: Row, config: ConversationConfig) -> Conversation:
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
