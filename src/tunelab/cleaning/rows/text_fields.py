"""The text fields of a row: where each is, whose it is, and how a changed one goes back."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import msgspec

Path = tuple[str | int, ...]

PROSE_FIELDS = ("content", "value", "text", "reasoning", "reasoning_content", "thinking")
"""Fields of a message, or of a part of its content, that hold what somebody wrote."""
_NO_TEXT = frozenset({"id", "session_id", "tool_call_id", "tool_use_id", "type", "name", "role", "from"})
"""Names and identifiers: nobody's words."""
_DEFINITIONS = frozenset({"tools", "functions"})
_OPTIONAL = frozenset({"system", "history", "tools", "functions"})
"""Fields of a conversation that may be empty or null; `input` is one next to an instruction."""
_CODE = frozenset({"tool_calls", "function_call", "arguments", "parameters"})
"""Fields that hold calls: searched for personal data and secrets, and else left as they are."""
_ARGUMENTS = frozenset({"arguments", "parameters", "input"})
"""Fields of a call that hold its arguments, as an object or as JSON text."""
_JSON = msgspec.json.Encoder()
_BARE_KIND = re.compile(r"\[[A-Z_]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """One text of a row."""

    path: Path
    """Keys and indices that lead to it; empty if the row itself is text."""
    field: str
    """What users call it: the column of a table, the role of who speaks in a conversation."""
    text: str | None
    """Arguments that are an object are one text, their JSON: numbers and names of fields are seen, too."""
    is_prose: bool
    """False for the arguments of calls: their spelling and their length are not a matter of cleaning."""
    may_be_empty: bool = False


def is_optional(field: str, fields: Collection[str]) -> bool:
    """Tell whether a field of a conversation's row may be empty or null, next to `fields`."""
    return field in _OPTIONAL or (field == "input" and "instruction" in fields)


def text_fields_of(value: object, columns: tuple[str, ...] = (), *, is_searched: bool = False) -> Iterator[TextField]:
    """Yield the texts of a row in their order.

    Args:
        columns: the fields of a table's row; one that is missing is a text field of its own, null. None for
            conversations.
        is_searched: whether to yield what a table holds besides texts, too: the JSON of numbers, lists and objects.
    """
    if isinstance(value, str):
        yield TextField(path=(), field="text", text=value, is_prose=True)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if columns and isinstance(inner, str | None):
                yield TextField(path=(key,), field=key, text=inner, is_prose=True)
                continue
            is_one = columns and key in _CODE & _ARGUMENTS  # a text field as a whole already
            if is_searched and columns and not is_one and not isinstance(inner, bool) and _holds_some(inner):
                text = _JSON.encode(inner).decode()
                yield TextField(path=(key,), field=key, text=text, is_prose=False, may_be_empty=True)
            if key not in _NO_TEXT and key not in _DEFINITIONS:
                yield from _inside(inner, (key,), key, is_optional(key, value), is_code=key in _CODE)
        for key in columns:
            if key not in value:
                yield TextField(path=(key,), field=key, text=None, is_prose=True)


def put_back(value: object, path: Path, text: str) -> object:
    """Return a row with the text at `path` replaced; the row itself is changed if it can be.

    An object or a list there becomes what `text` is the JSON of.
    """
    if not path:
        return text
    *above, last = path
    place = value
    for key in above:
        place = place[key]  # type: ignore[index]
    was_open = isinstance(place[last], dict | list)  # type: ignore[index]
    place[last] = json.loads(text) if was_open else text  # type: ignore[index]
    return value


def joined(old: object, new: object, texts: Mapping[Path, str], path: Path = ()) -> object:
    """Return `new`, which is `old` redacted as a whole, with the texts in it that were changed one by one.

    A text that was redacted for its name's sake, so that its kind alone is left, stays so.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = zip(old.items(), new.items(), strict=True)
        return {name: joined(was, now, texts, (*path, key)) for (key, was), (name, now) in pairs}
    if isinstance(old, list) and isinstance(new, list):
        both = enumerate(zip(old, new, strict=True))
        return [joined(was, now, texts, (*path, index)) for index, (was, now) in both]
    is_kind = isinstance(new, str) and _BARE_KIND.fullmatch(new) is not None
    return new if is_kind else texts.get(path, new)


def _holds_some(value: object) -> bool:
    return bool(value) if isinstance(value, list | dict) else isinstance(value, int | float)


def _inside(value: object, path: Path, field: str, optional: bool, *, is_code: bool) -> Iterator[TextField]:
    if isinstance(value, str) or value is None:
        if value is not None or len(path) == 1 or path[-1] in PROSE_FIELDS:
            yield TextField(path=path, field=field, text=value, is_prose=not is_code, may_be_empty=optional or is_code)
    elif is_code and path[-1] in _ARGUMENTS and not isinstance(value, bool):
        yield TextField(path=path, field=field, text=_JSON.encode(value).decode(), is_prose=False, may_be_empty=True)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inside(item, (*path, index), field, optional, is_code=is_code)
    elif isinstance(value, dict):
        speaker = value.get("role", value.get("from"))
        field = speaker if isinstance(speaker, str) and not is_code else field
        calls = "tool_calls" in value or "function_call" in value or value.get("type") in ("tool_use", "tool_call")
        for key, inner in value.items():
            if (key in _NO_TEXT and not is_code) or key in _DEFINITIONS:
                continue
            called = is_code or key in _CODE or (key == "input" and calls) or speaker in ("function_call", "tool_call")
            yield from _inside(inner, (*path, key), field, optional or calls, is_code=called)
