"""Rows become conversations."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_map import refuse_misspelt_roles, refuse_unknown_fields
from tunelab.conversations.format import find_format, not_of
from tunelab.conversations.label import labels_of, refuse_unknown_label_field
from tunelab.conversations.messages import roles_in
from tunelab.conversations.prepared_row import prepared
from tunelab.conversations.refused_rows import refuse_bad_answer, verdicts_in
from tunelab.conversations.tables import refuse_unknown_columns
from tunelab.conversations.tools import Tool, read_catalog
from tunelab.conversations.unread import UnreadField, UnreadFields
from tunelab.errors import DataError
from tunelab.sources import OnBad, Row, refuse

_LOOKED_AT = 1000
_LABELLED_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """Conversations, and how their rows were understood."""

    items: tuple[Conversation, ...]
    format: FormatName
    evidence: str
    """Such as ``messages: 999 of the first 999 rows have a "messages" list``."""
    unread: tuple[UnreadField, ...] = ()
    """What lies in the rows and their format does not read."""


def read_conversations(
    rows: Iterable[Row],
    config: ConversationConfig,
    *,
    base: Path,
    on_bad: OnBad = refuse,
    look: Callable[[Sequence[Conversation]], None] | None = None,
) -> Conversations:
    """Return the conversations of the rows.

    Args:
        base: the folder that `tool_catalog` is relative to.
        on_bad: receives the error of each row that cannot be converted; the default raises it.
        look: given the conversations, some hundred at a time, while the others are still read.

    Raises:
        DataError: rows of no known format, preference pairs, or a tool catalogue that cannot be read.
        RecipeError: a table without its templates, or templates for what is no table.
    """
    catalog = read_catalog(base / os.path.expanduser(config.tool_catalog)) if config.tool_catalog else None
    stream = iter(rows)
    first = list(islice(stream, _LOOKED_AT))
    refuse_unknown_fields(first, config.field_map)
    first = [prepared(row, config) for row in first]
    refuse_misspelt_roles(first, config.role_map, roles_in(config))
    format, evidence = find_format(first, config)
    if format.name == "table":
        refuse_unknown_columns(first, config)
    refuse_unknown_label_field(first, config)
    is_conversation = format.name not in ("table", "text")
    verdicts = verdicts_in(first, config) if is_conversation else ()
    unread = UnreadFields(format, config, verdicts)
    items: list[Conversation] = []
    rows = chain(first, (prepared(row, config) for row in stream))
    while some := list(islice(rows, _LABELLED_AT_ONCE)):
        said = []
        for row in some:
            try:
                if not format.recognises(row):
                    raise not_of(format, row, evidence)
                if is_conversation:
                    refuse_bad_answer(row, verdicts)
                said.append((row, format.convert(row, config)))
                unread.look(row)
            except DataError as error:
                on_bad(error)
        labels = labels_of(said, config)
        made = [_with_settings(each, label, config, catalog) for (_, each), label in zip(said, labels, strict=True)]
        items += made
        if look is not None:
            look(made)
    return Conversations(items=tuple(items), format=format.name, evidence=evidence, unread=unread.found())


def _with_settings(
    conversation: Conversation, label: str | None, config: ConversationConfig, catalog: tuple[Tool, ...] | None
) -> Conversation:
    if conversation.text is not None:
        return conversation if label is None else replace(conversation, label=label)
    messages = conversation.messages
    if config.system_prompt is not None:
        system = [Message(role="system", content=config.system_prompt)] if config.system_prompt else []
        messages = (*system, *(message for message in messages if message.role != "system"))
    tools = conversation.tools if catalog is None else catalog
    return replace(conversation, messages=messages, tools=tools if config.inject_tool_catalog else (), label=label)
