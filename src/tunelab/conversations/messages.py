"""Chat messages with roles: OpenAI's form, and the content blocks of others."""

from dataclasses import dataclass, field
from typing import Literal

from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message, Role, ToolCall
from tunelab.conversations.field_types import Fields, fault, fields, fields_of, items, optional_text, text
from tunelab.conversations.tools import read_call, read_calls
from tunelab.errors import did_you_mean
from tunelab.sources import Origin, Row, kind_of

LIST_FIELDS = ("messages", "conversations", "conversation")
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking")


def list_field(row: Row, key: str) -> str | None:
    """Return the name of the field that holds a list of objects with `key`, judged by the first of them."""
    for name in LIST_FIELDS:
        value = fields_of(row).get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and key in value[0]:
            return name
    return None


def has_messages(row: Row) -> bool:
    """Tell whether a row has a list of messages with roles, or names one."""
    return list_field(row, "role") is not None or ("messages" in fields_of(row) and not list_field(row, "from"))


def from_messages(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"messages": [{"role", "content"}, …], "tools"?, "system"?}``."""
    messages = read_messages(fields_of(row)[list_field(row, "role") or "messages"], row.origin)
    return build(row, config, messages)


def from_prompt_completion(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"prompt", "completion"}``, each a text or a list of messages."""
    prompt, completion = _side(row, "prompt", "user"), _side(row, "completion", "assistant")
    train: Literal["all", "last"] = "last" if any(each.role == "assistant" for each in prompt) else "all"
    answers = sum(message.role == "assistant" for message in completion)
    if train == "last" and (answers != 1 or completion[-1].role != "assistant"):
        what = f"completion holds {answers} assistant messages after a prompt that has its own"
        raise fault(row.origin, what, "one, at the end", 'Write the row as "messages" to train all of them.')
    return build(row, config, [*prompt, *completion], train=train)


def read_messages(value: object, origin: Origin, *, path: str = "") -> list[Message]:
    """Return the messages of a list; errors count them from 1."""
    numbered = enumerate(items(value, f"{path}messages", origin), start=1)
    return [message for number, item in numbered for message in read_message(item, f"{path}message {number}", origin)]


def read_message(value: object, path: str, origin: Origin, *, default_role: str | None = None) -> list[Message]:
    """Return one message; tool results among its content blocks become tool messages before it."""
    message = fields(value, path, origin)
    role = _role(message.get("role", default_role), path, origin)
    if any(message.get(key) == 0 for key in ("weight", "train")):
        raise fault(
            origin,
            f"{path} asks not to be trained (weight 0)",
            "messages that are all trained, or a session line per call",
        )
    content = _content(message.get("content"), path, origin)
    legacy = message.get("function_call")
    calls = (*read_calls(message.get("tool_calls"), path, origin), *content.calls)
    if legacy is not None:
        calls = (*calls, read_call(legacy, f"{path}: function_call", origin))
    if calls and role != "assistant":
        raise fault(origin, f"{path} has tool calls and the role {role}", "tool calls of the assistant only")
    if content.results and content.text is None and not calls:
        return content.results
    stated = (optional_text(message.get(key), f"{path}: {key}", origin) for key in _REASONING_FIELDS)
    reasoning = next((each for each in stated if each), None) or content.reasoning or None
    if content.text is None and not calls and reasoning is None:
        raise fault(origin, f"{path} ({role}) has no content", "text, or tool calls of the assistant")
    return [
        *content.results,
        Message(
            role=role,
            content=(content.text or None) if calls else (content.text or ""),
            reasoning=reasoning,
            tool_calls=calls,
            tool_call_id=_identifier(message, "tool_call_id", path, origin),
            name=_identifier(message, "name", path, origin),
        ),
    ]


def _side(row: Row, side: str, role: Role) -> list[Message]:
    value = fields_of(row)[side]
    if isinstance(value, list):
        return read_messages(value, row.origin, path=f"{side}: ")
    return [Message(role=role, content=text(value, side, row.origin))]


def _role(value: object, path: str, origin: Origin) -> Role:
    if value is None:
        raise fault(origin, f"{path} has no role", "system, user, assistant or tool")
    if not isinstance(value, str):
        raise fault(origin, f"{path}: role is {kind_of(value)}", "system, user, assistant or tool")
    if value not in _ROLES:
        raise fault(
            origin, f'{path} has role "{value}"', "system, user, assistant or tool", did_you_mean(value, _ROLES)
        )
    return _ROLES[value]


@dataclass(slots=True, kw_only=True)
class _Content:
    text: str | None = None
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)


def _content(value: object, path: str, origin: Origin) -> _Content:
    if not isinstance(value, list):
        return _Content(text=None if value is None else text(value, f"{path}: content", origin))
    content = _Content()
    for number, item in enumerate(value, start=1):
        place = f"{path}: content part {number}"
        part = fields(item, place, origin)
        kind = part.get("type", "text")
        if kind in ("text", "input_text", "output_text"):
            content.text = (content.text or "") + text(part.get("text"), f"{place}: text", origin)
        elif kind in ("thinking", "reasoning"):
            content.reasoning += text(part.get(str(kind), part.get("text")), f"{place}: {kind}", origin)
        elif kind in ("tool_use", "tool_call"):
            content.calls.append(read_call(part, place, origin))
        elif kind == "tool_result":
            answer = optional_text(part.get("content"), f"{place}: content", origin) or ""
            call_id = _identifier(part, "tool_use_id", place, origin)
            content.results.append(Message(role="tool", content=answer, tool_call_id=call_id))
        else:
            raise fault(origin, f'{place} has type "{kind}"', "text, thinking, tool_use or tool_result")
    return content


def _identifier(source: Fields, key: str, path: str, origin: Origin) -> str | None:
    return optional_text(source.get(key), f"{path}: {key}", origin)
