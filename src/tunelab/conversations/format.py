"""What a format is, and the fields that formats share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import Fields, fault, optional_text
from tunelab.conversations.tools import read_tools
from tunelab.sources import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One shape of rows."""

    name: FormatName
    """What `data.format` calls it."""
    shape: str
    """The shape in a few words, such as ``a "messages" list``."""
    recognises: Callable[[Row], bool]
    """Tells whether a row has this shape, whatever its values."""
    convert: Callable[[Row, ConversationConfig], Conversation]
    """Returns the conversation of a row that is recognised; a DataError names what is wrong in it."""


def format_of_fields(
    name: FormatName, first: str, second: str, convert: Callable[[Row, ConversationConfig], Conversation]
) -> Format:
    """Return a format that is known by two fields."""
    return Format(
        name=name,
        shape=f'"{first}" and "{second}"',
        recognises=lambda row: {first, second} <= fields_of(row).keys(),
        convert=convert,
    )


def fields_of(row: Row) -> Fields:
    """Return the named fields of a row; plain text has none."""
    return row.value if isinstance(row.value, dict) else {}


def build(
    row: Row,
    config: ConversationConfig,
    messages: Sequence[Message],
    *,
    fields: Fields | None = None,
    train: Literal["all", "last"] = "all",
) -> Conversation:
    """Return a conversation of `messages`, with the `system` and `tools` that stand beside them in `fields`."""
    fields = fields_of(row) if fields is None else fields
    system = optional_text(fields.get("system"), "system", row.origin)
    if system:
        inside = next((message.content for message in messages if message.role == "system"), system)
        if inside != system and config.system_prompt is None:
            remedy = "Keep one of them, or set data.system_prompt, which replaces both."
            raise fault(
                row.origin, 'a system message and another text in the field "system"', "one system prompt", remedy
            )
        messages = [
            Message(role="system", content=system),
            *(each for each in messages if each.content != system or each.role != "system"),
        ]
    session_id = fields_of(row).get("session_id")
    return Conversation(
        messages=tuple(messages),
        tools=read_tools(fields.get("tools") or fields.get("functions"), "tools", row.origin),
        train=train,
        session_id=None if session_id is None else str(session_id),
        origin=row.origin,
    )
