"""Turns with from and value."""

from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import fault, fields, fields_of, items, text
from tunelab.conversations.messages import list_field
from tunelab.conversations.tools import read_call
from tunelab.errors import did_you_mean
from tunelab.sources import Origin, Row, kind_of

_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "call",
    "tool_call": "call",
    "observation": "tool",
    "tool": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "system": "system",
}


def has_turns(row: Row) -> bool:
    """Tell whether a row has a list of turns that name their speaker."""
    return list_field(row, "from") is not None


def from_turns(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"conversations": [{"from", "value"}, …], "tools"?, "system"?}``."""
    turns = items(fields_of(row)[list_field(row, "from") or "conversations"], "conversations", row.origin)
    messages = [_message(turn, f"message {number}", row.origin) for number, turn in enumerate(turns, start=1)]
    return build(row, config, messages)


def _message(value: object, path: str, origin: Origin) -> Message:
    turn = fields(value, path, origin)
    speaker = turn.get("from")
    expected = "human, gpt, system, function_call or observation"
    if not isinstance(speaker, str):
        raise fault(origin, f"{path}: from is {kind_of(speaker)}", expected)
    if speaker not in _SPEAKERS:
        raise fault(origin, f'{path} is from "{speaker}"', expected, did_you_mean(speaker, _SPEAKERS))
    role, said = _SPEAKERS[speaker], turn.get("value")
    if role == "call":
        calls = items(said, path, origin) if isinstance(said, list) or str(said).lstrip().startswith("[") else [said]
        named = (f"{path}: tool call {number}" for number in range(1, len(calls) + 1))
        return Message(
            role="assistant",
            tool_calls=tuple(read_call(call, name, origin) for call, name in zip(calls, named, strict=True)),
        )
    return Message(role=role, content=text(said, f"{path}: value", origin))  # type: ignore[arg-type]
