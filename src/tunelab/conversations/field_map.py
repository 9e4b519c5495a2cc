"""Files that call their fields otherwise: `data.field_map` and `data.role_map` give them the names of this room."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tunelab.conversations.field_types import Fields, fields_of
from tunelab.errors import RecipeError, did_you_mean, guess, listed
from tunelab.sources import Row

MARKS = ("weight", "loss", "loss_mask", "loss_weight", "train", "trainable", "train_detail", "mask", "masked")
"""Fields of rows or messages that say whether an answer is trained."""
ROW_FIELDS = (
    *("messages", "prompt", "completion", "instruction", "input", "output", "query", "request", "response"),
    *("text", "system", "tools", "history", "context", "session_id", *MARKS),
)
MESSAGE_FIELDS = (*("role", "content", "reasoning", "tool_calls", "tool_call_id", "name", *MARKS),)
LIST_FIELDS = ("messages", "conversations", "conversation")
"""Fields of a row that hold its messages."""
_LISTS = (*LIST_FIELDS, "prompt", "completion", "history")


def refuse_unknown_names(field_map: Mapping[str, str]) -> None:
    """Raise a ValueError for a name that is none of this room's, and for a field that is mapped twice."""
    known = dict.fromkeys((*ROW_FIELDS, *MESSAGE_FIELDS))
    for name in field_map:
        if name not in known:
            raise ValueError(f'names "{name}", which is no field that a format reads. {did_you_mean(name, known)}')
    theirs = list(field_map.values())
    if twice := next((name for name in theirs if theirs.count(name) > 1), None):
        both = listed(ours for ours, name in field_map.items() if name == twice)
        raise ValueError(f'gives the field "{twice}" two meanings: {both}')


def refuse_unknown_roles(role_map: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise a ValueError for a role that none of this room's is."""
    for theirs, ours in role_map.items():
        if ours not in known:
            expected = f"expected {listed(known)}. {guess(str(ours), known)}".rstrip()
            raise ValueError(f'reads "{theirs}" as "{ours}"; {expected}')


def refuse_misspelt_roles(rows: Sequence[Row], role_map: Mapping[str, str], understood: Collection[str]) -> None:
    """Raise a RecipeError for a role that no message of the first rows has, and that is near one of theirs.

    Roles that no row has are no fault by themselves: a map may name the roles of tools that are never called.
    """
    messages = [message for row in rows for message in _messages_in(fields_of(row))]
    said = [message.get("role", message.get("from")) for message in messages]
    known = dict.fromkeys(role for role in said if isinstance(role, str))
    unread = [role for role in known if role not in understood and role.lower() not in understood]
    for theirs in role_map:
        if theirs not in known and (near := guess(theirs, unread)):
            what = f'no message has the role "{theirs}"'
            raise RecipeError(what, where="data.role_map", expected=f"one of {listed(known)}", remedy=near)


def _messages_in(fields: Fields) -> Iterator[Fields]:
    for name in _LISTS:
        value = fields.get(name)
        yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
    if isinstance(request := fields.get("request"), dict):
        yield from _messages_in(request)


def renamed(row: Row, field_map: Mapping[str, str]) -> Row:
    """Return a row whose fields, and those of its messages, have the names that the formats read."""
    if not isinstance(row.value, dict):
        return row
    value = _renamed(row.value, field_map)
    if isinstance(request := value.get("request"), dict):
        value["request"] = _renamed(request, field_map)
    return replace(row, value=value)


def read_under(field: str, field_map: Mapping[str, str]) -> str:
    """Return the name that a field of the files has in a renamed row."""
    return next((ours for ours, theirs in field_map.items() if theirs == field and ours in ROW_FIELDS), field)


def refuse_unknown_fields(rows: Sequence[Row], field_map: Mapping[str, str]) -> None:
    """Raise a RecipeError for a field that `field_map` names and none of the first rows, as they are, has."""
    known = dict.fromkeys(name for row in rows for name in _all_names(fields_of(row)))
    for ours, theirs in field_map.items():
        if known and theirs not in known:
            raise RecipeError(
                f'no row has the field "{theirs}"',
                where=f"data.field_map.{ours}",
                expected=f"one of {listed(known)}",
                remedy=guess(theirs, known),
            )


def _renamed(fields: Fields, field_map: Mapping[str, str]) -> dict[str, object]:
    """Return the fields of a row or of a request under the names of this room, and the keys of their messages."""
    named = _under(fields, _names(field_map, ROW_FIELDS))
    if of_messages := _names(field_map, MESSAGE_FIELDS):
        for name in _LISTS:
            if isinstance(messages := named.get(name), list):
                named[name] = [_under(each, of_messages) if isinstance(each, dict) else each for each in messages]
    return named


def _names(field_map: Mapping[str, str], level: Sequence[str]) -> dict[str, str]:
    """Return what the files call the fields of one level -> what this room calls them."""
    return {theirs: ours for ours, theirs in field_map.items() if ours in level}


def _under(fields: Fields, names: Mapping[str, str]) -> dict[str, object]:
    """Return fields under other names; a field that has one of these names and is not mapped makes room."""
    taken = set(names.values())
    spared = {name: f"{name} (not mapped)" for name in taken - names.keys()}
    return {names.get(name) or spared.get(name, name): each for name, each in fields.items()}


def _all_names(fields: Fields, depth: int = 2) -> Iterator[str]:
    """Yield the names of a row's fields, and of those of its messages, which may lie in a request."""
    for name, value in fields.items():
        yield name
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and depth:
                yield from _all_names(each, depth - 1)
