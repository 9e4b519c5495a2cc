"""What lies in rows and is read by nobody: fields of rows, keys of messages, parts and calls that no format reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tunelab.conversations.chats import list_field
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.describing_fields import describes
from tunelab.conversations.field_map import LIST_FIELDS
from tunelab.conversations.field_types import Fields, fields_of
from tunelab.conversations.fields_read import Level, fields_read
from tunelab.conversations.format import Format
from tunelab.sources import Origin, Row

_LONGEST_EXAMPLE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadField:
    """A field that no format reads."""

    path: str
    """Such as ``score`` of a row, or ``messages.feedback`` of its messages."""
    num_rows: int
    """Rows in which it is and holds something."""
    origin: Origin
    """The first of them."""
    example: str
    """What it holds there, shortened."""
    describes: bool
    """True for fields that describe a row by their name (id, source, model …) and are no part of a conversation."""


class UnreadFields:
    """Counts, row by row, what a format does not read; the keys of objects that are alike are compared once.

    Args:
        format: of the rows.
        config: names the field of the label and, for a table, its columns.
        verdicts: fields that were read as saying whether the answer of a row is good.
    """

    def __init__(self, format: Format, config: ConversationConfig, verdicts: Sequence[str] = ()) -> None:
        self._rows = fields_read(format, config, verdicts)
        self._key = {"messages": "role", "sharegpt": "from"}.get(format.name)
        self._is_table = format.name == "table"
        self._counts: dict[str, _Count] = {}

    def look(self, row: Row) -> None:
        """Count what is not read of a row."""
        fields = fields_of(row)
        self._walk(self._rows, fields, row)
        if self._key and sum(name in fields for name in LIST_FIELDS) > 1:
            used = list_field(row, self._key) or "messages"
            for name in (name for name in LIST_FIELDS if name in fields and name != used):
                self._add(name, name, fields[name], row)

    def found(self) -> tuple[UnreadField, ...]:
        """Return what was not read, in the order in which it was met."""
        return tuple(
            UnreadField(
                path=path or "(no name)",
                num_rows=count.num_rows,
                origin=count.first.origin,
                example=count.example,
                describes=self._is_table or describes(path.rpartition(".")[2]),
            )
            for path, count in self._counts.items()
        )

    def _walk(self, level: Level, fields: Fields, row: Row) -> None:
        names = tuple(fields)
        keys = level.known.get(names) or level.keys_of(names)
        for name in keys.unread:
            self._add(f"{level.path}{name}", name, fields[name], row)
        for name, inner in keys.inner:
            value = fields[name]
            if type(value) is list:
                for each in value:
                    if type(each) is dict:
                        self._walk(inner, each, row)
            elif type(value) is dict:
                self._walk(inner, value, row)

    def _add(self, path: str, name: str, value: object, row: Row) -> None:
        if value is None or value in ("", [], {}) or value != value:  # null, nothing, or not a number
            return
        count = self._counts.get(path)
        if count is None:
            count = self._counts[path] = _Count(first=row, example=_shown(value))
        if count.last is not row:
            count.num_rows, count.last = count.num_rows + 1, row


def merged(several: Iterable[Iterable[UnreadField]]) -> tuple[UnreadField, ...]:
    """Return the fields of several sets of rows; those of one path are one."""
    known: dict[str, UnreadField] = {}
    for each in (each for some in several for each in some):
        first = known.get(each.path)
        known[each.path] = replace(first, num_rows=first.num_rows + each.num_rows) if first else each
    return tuple(known.values())


@dataclass(slots=True, kw_only=True)
class _Count:
    first: Row
    example: str
    num_rows: int = 0
    last: Row | None = None
    """The row counted last: a field of ten messages is counted once."""


def _shown(value: object) -> str:
    words = " ".join(str(value).split())
    return words if len(words) <= _LONGEST_EXAMPLE else f"{words[:_LONGEST_EXAMPLE]}…"
