"""Message content in parts: text, reasoning, tool calls and tool results, as each vendor writes them."""

from dataclasses import dataclass, field

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.conversations.field_types import Fields, fault, fields, optional_text, text
from tunelab.conversations.tools import read_call
from tunelab.sources import Origin

_TEXT = frozenset({"text", "input_text", "output_text"})
_REASONING = frozenset({"thinking", "reasoning"})
_CALLS = frozenset({"tool_use", "tool_call"})


@dataclass(slots=True, kw_only=True)
class Content:
    """What the content of a message holds."""

    text: str | None = None
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    """Tool messages."""


def read_content(value: object, path: str, origin: Origin) -> Content:
    """Return a message's content, a text or a list of parts; `path` is where it was read."""
    if not isinstance(value, list):
        return Content(text=None if value is None else text(value, path, origin))
    content = Content()
    for number, item in enumerate(value, start=1):
        _add(content, fields(item, f"{path} part {number}", origin), f"{path} part {number}", origin)
    return content


def _add(content: Content, part: Fields, place: str, origin: Origin) -> None:
    """Add a part; what LLaMA-Factory writes is under ``value`` whatever its type."""
    kind = str(part.get("type", "text"))
    if kind in _TEXT:
        content.text = (content.text or "") + text(_first(part, "text", "value"), f"{place}: text", origin)
    elif kind in _REASONING:
        content.reasoning += text(_first(part, kind, "text", "value"), f"{place}: {kind}", origin)
    elif kind in _CALLS:
        content.calls.append(read_call(part.get("value", part), place, origin))
    elif kind == "tool_result":
        answer = optional_text(_first(part, "content", "value"), f"{place}: content", origin) or ""
        call_id = optional_text(part.get("tool_use_id"), f"{place}: tool_use_id", origin)
        content.results.append(Message(role="tool", content=answer, tool_call_id=call_id))
    else:
        raise fault(origin, f'{place} has type "{kind}"', "text, thinking, tool_use or tool_result")


def _first(part: Fields, *keys: str) -> object:
    """Return the first of some keys that a part has."""
    return next((part[key] for key in keys if key in part), None)
