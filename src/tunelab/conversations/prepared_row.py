"""Rows made ready for the formats: fields under the names that these read, lists that a table holds as JSON text."""

from dataclasses import replace

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.field_map import LIST_FIELDS, renamed
from tunelab.errors import DataError
from tunelab.sources import Row, parse_json

_MESSAGES_OR_TEXT = ("prompt", "completion")


def prepared(row: Row, config: ConversationConfig) -> Row:
    """Return a row as the formats read it; one that needs nothing is returned as it is.

    A list of messages as JSON text, as a CSV column holds it, becomes the list. What is broken stays text.
    """
    if config.field_map:
        row = renamed(row, config.field_map)
    if not isinstance(row.value, dict):
        return row
    lists = {name: found for name in LIST_FIELDS if (found := _list_in(row, name)) is not None}
    lists |= {name: found for name in _MESSAGES_OR_TEXT if (found := _list_in(row, name)) and _are_messages(found)}
    return replace(row, value={**row.value, **lists}) if lists else row


def _list_in(row: Row, name: str) -> list[object] | None:
    value = row.value.get(name) if isinstance(row.value, dict) else None
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return None
    try:
        found = parse_json(value, row.origin)
    except DataError:
        return None
    return found if isinstance(found, list) else None


def _are_messages(items: list[object]) -> bool:
    return all(isinstance(each, dict) and ("role" in each or "from" in each) for each in items)
