"""What the formats read of a row: which fields of it, which keys of its messages, their parts and their calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunelab.conversations.api_response import STOP_FIELDS
from tunelab.conversations.build_conversation import SYSTEM_FIELDS, TOOL_FIELDS
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.field_map import MARKS, read_under
from tunelab.conversations.format import Format
from tunelab.conversations.messages import OPENAI, REASONING_FIELDS, SHAREGPT, Form
from tunelab.conversations.tables import columns_named

_MANY = 1_000
_NEXT_TO_MESSAGES = frozenset({*SYSTEM_FIELDS, *TOOL_FIELDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is to be looked at in objects of certain keys."""

    unread: tuple[str, ...]
    inner: tuple[tuple[str, "Level"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Objects of one kind, at one place of a row."""

    path: str
    """Before the names of its fields, such as ``messages.``."""
    reads: frozenset[str]
    inner: Mapping[str, "Level"] = field(default_factory=dict)
    """Fields that are read and hold objects, or lists of objects."""
    known: dict[tuple[str, ...], Keys] = field(default_factory=dict)

    def keys_of(self, names: tuple[str, ...]) -> Keys:
        """Return what is to be looked at in objects with keys of these names; found once for all that are alike."""
        unread = tuple(name for name in names if name not in self.reads and name not in self.inner)
        keys = Keys(unread=unread, inner=tuple((name, self.inner[name]) for name in names if name in self.inner))
        if len(self.known) < _MANY:
            self.known[names] = keys
        return keys


def fields_read(format: Format, config: ConversationConfig, also: Sequence[str] = ()) -> Level:
    """Return what is read of rows of a format, and fields that are read `also`."""
    label = {read_under(config.label_field, config.field_map)} if config.label_field else set()
    own = {*format.reads, *label, *also, "session_id"}
    if format.name in ("table", "text"):
        marks = set(MARKS) if format.name == "text" else set()
        return Level(path="", reads=frozenset(own | marks | columns_named(config)))
    form = SHAREGPT if format.name == "sharegpt" else OPENAI
    inner = {name: _messages(f"{name}.", form) for name in format.lists}
    if format.takes_response:
        inner["response"] = _response()
    if format.name == "session":
        messages = {name: _messages(f"request.{name}.", OPENAI) for name in ("messages", "input")}
        inner["request"] = Level(path="request.", reads=_NEXT_TO_MESSAGES, inner=messages)
        return Level(path="", reads=frozenset({*own, *MARKS, *STOP_FIELDS}), inner=inner)
    return Level(path="", reads=frozenset({*own, *_NEXT_TO_MESSAGES, *MARKS, *STOP_FIELDS}), inner=inner)


def _messages(path: str, form: Form, **inner: Level) -> Level:
    own = {form.role, form.content, *REASONING_FIELDS, "tool_call_id", "name", *MARKS, *STOP_FIELDS}
    calls = {name: _call(f"{path}{name}.") for name in ("tool_calls", "function_call")}
    parts = {form.content: _part(f"{path}{form.content}.")}
    return Level(path=path, reads=frozenset(own), inner={**calls, **parts, **inner})


def _part(path: str) -> Level:
    own = ("type", "text", "value", "thinking", "reasoning", "tool_use_id", "content", "id", "name")
    return Level(path=path, reads=frozenset({*own, "arguments", "input", "parameters", "function"}))


def _call(path: str) -> Level:
    named = frozenset({"name", "arguments", "input", "parameters"})
    function = Level(path=f"{path}function.", reads=named)
    return Level(path=path, reads=named | {"id", "type"}, inner={"function": function})


def _response() -> Level:
    """Return what is read of an assistant's message or of a whole response of an API."""
    message = _messages("response.", OPENAI)
    choice = Level(
        path="response.choices.",
        reads=frozenset({"text", "index", *STOP_FIELDS}),
        inner={"message": _messages("response.choices.message.", OPENAI)},
    )
    whole = {"candidates", "output", "status", "value", "from"}
    inner = {"choices": choice, "message": _messages("response.message.", OPENAI), **message.inner}
    return Level(path="response.", reads=message.reads | whole, inner=inner)
