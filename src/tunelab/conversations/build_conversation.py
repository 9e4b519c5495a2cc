"""A conversation of the messages in a row, with what lies next to them in its fields."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from tunelab.conversations.api_response import is_unfinished
from tunelab.conversations.config import ConversationConfig, ReadAs
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import Fields, fault, fields_of, optional_text
from tunelab.conversations.marks import mark_out
from tunelab.conversations.tools import read_tools
from tunelab.sources import Origin, Row

SYSTEM_FIELDS = ("system", "system_prompt", "instructions")
"""Fields of a row, or of a request, that hold its system prompt."""
TOOL_FIELDS = ("tools", "functions")
_SYSTEM_FIELDS = frozenset(SYSTEM_FIELDS)


def build(
    row: Row,
    config: ConversationConfig,
    messages: Sequence[Message],
    *,
    roles: Mapping[str, ReadAs],
    fields: Fields | None = None,
    train: Literal["all", "last"] = "all",
) -> Conversation:
    """Return a conversation of `messages`, with the system prompt and tools that lie next to them in `fields`.

    The marks that say which answers are trained are those of the row.
    """
    fields = fields_of(row) if fields is None else fields
    messages = mark_out(fields_of(row), messages, roles, row.origin)
    if is_unfinished(fields_of(row)):
        messages = _last_unfinished(messages)
    return Conversation(
        messages=tuple(_with_system(messages, fields, config, row.origin)),
        tools=read_tools(fields.get("tools") or fields.get("functions"), "tools", row.origin),
        train=train,
        session_id=session_id_of(row),
        origin=row.origin,
    )


def session_id_of(row: Row) -> str | None:
    """Return the id of the session that a row is of; None where it names none."""
    session_id = fields_of(row).get("session_id")
    return None if session_id is None else str(session_id)


def _last_unfinished(messages: Sequence[Message]) -> list[Message]:
    last = max((index for index, each in enumerate(messages) if each.role == "assistant"), default=-1)
    return [
        replace(each, untrained=each.untrained or "unfinished") if index == last else each
        for index, each in enumerate(messages)
    ]


def _with_system(
    messages: Sequence[Message], fields: Fields, config: ConversationConfig, origin: Origin
) -> Sequence[Message]:
    if _SYSTEM_FIELDS.isdisjoint(fields):
        return messages
    named = ((name, optional_text(fields.get(name), name, origin)) for name in SYSTEM_FIELDS if name in fields)
    stated = {text: name for name, text in named if text}
    inside = next((each.content or "" for each in messages if each.role == "system"), None)
    if not stated:
        return messages
    if len(stated | ({} if inside is None else {inside: ""})) > 1 and config.system_prompt is None:
        other = " and another text in the field " if inside is not None else " in the field "
        what = f"{'a system message' if inside is not None else 'one system prompt'}{other}"
        what += " and another in ".join(f'"{name}"' for name in stated.values())
        remedy = "Keep one of them, or set data.system_prompt, which replaces both."
        raise fault(origin, what, "one system prompt", remedy)
    system = next(iter(stated))
    rest = (each for each in messages if each.role != "system" or each.content != system)
    return [Message(role="system", content=system), *rest]
