"""Chat messages with roles: OpenAI's form with ``role`` and ``content``, ShareGPT's with ``from`` and ``value``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunelab.conversations.api_response import is_unfinished
from tunelab.conversations.config import ConversationConfig, ReadAs
from tunelab.conversations.content_parts import read_content
from tunelab.conversations.conversation import Message, ToolCall
from tunelab.conversations.field_types import Fields, fault, fields, items, optional_text
from tunelab.conversations.marks import is_marked_out
from tunelab.conversations.tools import read_call, read_calls
from tunelab.errors import did_you_mean
from tunelab.sources import Origin, kind_of

ROLES: Mapping[str, ReadAs] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "function_call": "function_call",
    "tool_call": "function_call",
}
REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How messages call what they hold."""

    role: str
    content: str
    bad_role: str
    """How an unknown role is reported."""
    expected: str
    """The roles there are."""


OPENAI = Form(role="role", content="content", bad_role='has role "{}"', expected="system, user, assistant or tool")
SHAREGPT = Form(
    role="from", content="value", bad_role='is from "{}"', expected="human, gpt, system, function_call or observation"
)


def roles_in(config: ConversationConfig) -> Mapping[str, ReadAs]:
    """Return what the names of roles mean: the usual ones, and those of `role_map`."""
    return {**ROLES, **config.role_map} if config.role_map else ROLES


def read_messages(
    value: object, origin: Origin, roles: Mapping[str, ReadAs], form: Form = OPENAI, *, path: str = "", name: str = ""
) -> list[Message]:
    """Return the messages of a list; errors count them from 1, after `path`."""
    numbered = enumerate(items(value, f"{path}{name or 'messages'}", origin), start=1)
    return [
        message
        for number, item in numbered
        for message in read_message(item, f"{path}message {number}", origin, roles, form)
    ]


def read_message(
    value: object,
    path: str,
    origin: Origin,
    roles: Mapping[str, ReadAs],
    form: Form = OPENAI,
    *,
    default_role: str | None = None,
) -> list[Message]:
    """Return one message; tool results among its content parts become tool messages before it."""
    message = fields(value, path, origin)
    role = _role(message.get(form.role, default_role), path, origin, roles, form)
    said = message.get(form.content)
    if type(said) is str and len(message) == 2 and form.role in message and role != "function_call":
        return [Message(role=role, content=said)]  # as nearly all are, in a tenth of the time
    if role == "function_call":
        role, said, calls = "assistant", None, _calls_in(said, path, origin)
    else:
        calls = read_calls(message.get("tool_calls"), path, origin)
    content = read_content(said, f"{path}: {form.content}", origin)
    calls = (*calls, *content.calls)
    if (legacy := message.get("function_call")) is not None:
        calls = (*calls, read_call(legacy, f"{path}: function_call", origin))
    if calls and role != "assistant":
        raise fault(origin, f"{path} has tool calls and the role {role}", "tool calls of the assistant only")
    if content.results and content.text is None and not calls:
        return content.results
    reasoning = _reasoning(message, path, origin) or content.reasoning or None
    if content.text is None and not calls and reasoning is None:
        raise fault(origin, f"{path} ({role}) has no {form.content}", "text, or tool calls of the assistant")
    untrained: Literal["", "marked", "unfinished"] = ""
    if role == "assistant" and is_marked_out(message, content.text, path, origin):
        untrained = "marked"
    elif role == "assistant" and is_unfinished(message):
        untrained = "unfinished"
    return [
        *content.results,
        Message(
            role=role,
            content=(content.text or None) if calls else (content.text or ""),
            reasoning=reasoning,
            tool_calls=calls,
            tool_call_id=optional_text(message.get("tool_call_id"), f"{path}: tool_call_id", origin),
            name=optional_text(message.get("name"), f"{path}: name", origin),
            untrained=untrained,
        ),
    ]


def _role(value: object, path: str, origin: Origin, roles: Mapping[str, ReadAs], form: Form) -> ReadAs:
    if value is None:
        raise fault(origin, f"{path} has no {form.role}", form.expected)
    if not isinstance(value, str):
        raise fault(origin, f"{path}: {form.role} is {kind_of(value)}", form.expected)
    role = roles.get(value) or roles.get(value.lower())
    if role is None:
        remedy = f"{did_you_mean(value, roles)} data.role_map says what another name means."
        raise fault(origin, f"{path} {form.bad_role.format(value)}", form.expected, remedy)
    return role


def _calls_in(said: object, path: str, origin: Origin) -> tuple[ToolCall, ...]:
    """Return the calls of a message that holds nothing else: an object or a list, mostly as JSON text."""
    calls = items(said, path, origin) if isinstance(said, list) or str(said).lstrip().startswith("[") else [said]
    return tuple(read_call(call, f"{path}: tool call {n}", origin) for n, call in enumerate(calls, start=1))


def _reasoning(message: Fields, path: str, origin: Origin) -> str | None:
    for name in REASONING_FIELDS:
        if name in message and (stated := optional_text(message[name], f"{path}: {name}", origin)):
            return stated
    return None
