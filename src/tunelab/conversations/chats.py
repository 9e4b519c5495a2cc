"""Rows that hold messages: a list of them, or a line of a session log, one per call of the model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from tunelab.conversations.api_response import message_in
from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig, ReadAs
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_map import LIST_FIELDS
from tunelab.conversations.field_types import Fields, fault, fields, fields_of
from tunelab.conversations.messages import OPENAI, SHAREGPT, Form, read_message, read_messages, roles_in
from tunelab.sources import Origin, Row, kind_of


def list_field(row: Row, key: str) -> str | None:
    """Return the name of the field that holds a list of objects with `key`, judged by the first of them."""
    for name in LIST_FIELDS:
        value = fields_of(row).get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and key in value[0]:
            return name
    return None


def has_messages(row: Row) -> bool:
    """Return whether a row has a list of messages with roles, or names one."""
    if list_field(row, "role") is not None:
        return True
    return ("messages" in fields_of(row) or _text_list(row) is not None) and not list_field(row, "from")


def has_turns(row: Row) -> bool:
    """Return whether a row has a list of messages that name their speaker under ``from``."""
    return list_field(row, "from") is not None


def from_messages(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"messages": [{"role", "content"}, …], "tools"?, "system"?, "response"?}``."""
    return _from_list(row, config, list_field(row, "role") or _text_list(row) or "messages", OPENAI)


def from_turns(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"conversations": [{"from", "value"}, …], "tools"?, "system"?, "response"?}``."""
    return _from_list(row, config, list_field(row, "from") or "conversations", SHAREGPT)


def from_session_line(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"session_id"?, "request": {"system", "tools", "messages"}, "response"}``.

    Only the response is trained.
    """
    roles = roles_in(config)
    request = fields(fields_of(row)["request"], "request", row.origin)
    messages = _requested(request, row.origin, roles)
    response = _response(fields_of(row)["response"], row.origin, roles)
    return build(row, config, [*messages, response], roles=roles, fields=request, train="last")


def _text_list(row: Row) -> str | None:
    """Return the name of a field that is meant to hold messages and holds a text that is no JSON list of them."""
    fields = fields_of(row)
    return next((name for name in LIST_FIELDS if str(fields.get(name)).lstrip().startswith("[{")), None)


def _requested(request: Fields, origin: Origin, roles: Mapping[str, ReadAs]) -> list[Message]:
    """Return the messages of a request; OpenAI's responses call them ``input``, which may be the user's text."""
    name = "input" if "messages" not in request and "input" in request else "messages"
    if isinstance(said := request.get(name), str) and name == "input":
        return [Message(role="user", content=said)]
    return read_messages(said, origin, roles, path="request: ", name=name)


def _from_list(row: Row, config: ConversationConfig, name: str, form: Form) -> Conversation:
    """Return the conversation of a list; a ``response`` next to it is its last answer and alone is trained."""
    roles = roles_in(config)
    messages = read_messages(fields_of(row)[name], row.origin, roles, form, name=name)
    train: Literal["all", "last"] = "all"
    if (value := fields_of(row).get("response")) is not None:
        response = _response(value, row.origin, roles)
        if messages and messages[-1].role == "assistant" and messages[-1].content != response.content:
            what = f"{name} ends with an answer, and response holds another"
            raise fault(row.origin, what, "one answer", "Remove one of them.")
        messages = [*(messages[:-1] if messages and messages[-1].role == "assistant" else messages), response]
        train = "last"
    return build(row, config, messages, roles=roles, train=train)


def _response(value: object, origin: Origin, roles: Mapping[str, ReadAs]) -> Message:
    """Return the answer of a call: a text, an assistant's message, or what an API gave."""
    if isinstance(value, str):
        return Message(role="assistant", content=value)
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if not isinstance(value, dict):
        raise fault(origin, f"response is {kind_of(value)}", "text, or an assistant message")
    if isinstance(choices := value.get("choices"), list) and len(choices) != 1:
        raise fault(
            origin, f"response holds {len(choices)} choices", "one", "Write a row for each that is to be trained."
        )
    said, is_unfinished = message_in(value)
    form = SHAREGPT if "from" in said else OPENAI
    *others, message = read_message(said, "response", origin, roles, form, default_role="assistant")
    if others or message.role != "assistant":
        raise fault(origin, f"response has the role {message.role}", "assistant")
    return replace(message, untrained="unfinished") if is_unfinished and not message.untrained else message
