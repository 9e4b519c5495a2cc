"""A conversation of the messages in a row, with what lies next to them in its fields."""

from collections.abc import Sequence
from typing import Literal

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import Fields, fault, fields_of, optional_text
from tunelab.conversations.tools import read_tools
from tunelab.sources import Row


def build(
    row: Row,
    config: ConversationConfig,
    messages: Sequence[Message],
    *,
    fields: Fields | None = None,
    train: Literal["all", "last"] = "all",
) -> Conversation:
    """Return a conversation of `messages`, with the `system` and `tools` that lie next to them in `fields`."""
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
