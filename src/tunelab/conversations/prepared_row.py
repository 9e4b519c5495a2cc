"""Rows made ready for the formats: fields under the names that these read, lists that a table holds as JSON text."""

from dataclasses import replace

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.field_map import LIST_FIELDS, renamed
from tunelab.errors import DataError
from tunelab.sources import Origin, Row, parse_json

_COLUMNS = (*LIST_FIELDS, "prompt", "completion")
_OPENINGS = frozenset("[ \t\r\n")


def prepared(row: Row, config: ConversationConfig) -> Row:
    """Return a row as the formats read it; one that needs nothing is returned as it is.

    A list of messages as JSON text, as a CSV column holds it, becomes the list. What is broken stays text.
    """
    if config.field_map:
        row = renamed(row, config.field_map)
    value = row.value
    if not isinstance(value, dict):
        return row
    columns = [name for name in _COLUMNS if type(said := value.get(name)) is str and said[:1] in _OPENINGS]
    lists = {name: found for name in columns if (found := list_in(value[name], row.origin))}
    lists = {name: found for name, found in lists.items() if name in LIST_FIELDS or _are_messages(found)}
    return replace(row, value={**value, **lists}) if lists else row


def list_in(text: object, origin: Origin) -> list[object] | None:
    """Return the list that a text is in JSON; None if it is none."""
    if not isinstance(text, str) or not text.lstrip().startswith("["):
        return None
    try:
        found = parse_json(text, origin)
    except DataError:
        return None
    return found if isinstance(found, list) else None


def _are_messages(items: list[object]) -> bool:
    return all(isinstance(each, dict) and ("role" in each or "from" in each) for each in items)
