"""The one form all data takes: messages with roles, tools, and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunelab.sources.row import Origin

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the assistant makes."""

    name: str
    arguments: Mapping[str, object]
    """The arguments in the order they were written; no key is added or removed."""
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str | None = None
    """Text; None where an assistant only calls tools."""
    reasoning: str | None = None
    """What the assistant thought before it answered, where the data keeps it apart."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Of a tool message: the call it answers."""
    name: str | None = None
    """Of a tool message: the tool; of others: the speaker."""
    untrained: Literal["", "marked", "unfinished"] = ""
    """Why an answer is not trained: the data mark it so, or it was cut off when it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages that a model is trained on or asked with; or, for plain text, the text alone."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, object], ...] = ()
    """The tool catalogue offered to the model, in OpenAI's function form, for templates that know tools."""
    text: str | None = None
    """Plain text to continue; then there are no messages."""
    train: Literal["all", "last"] = "all"
    """Which assistant messages are trained, if nothing speaks against it: each one, or only the last (rows that log
    one model call)."""
    session_id: str | None = None
    """Rows of one session share it; they stay in one part of a split and in one optimizer step."""
    label: str | None = None
    """The class it is of; empty where it names none, None where the recipe does not ask (`data.label_field` …)."""
    origin: Origin
