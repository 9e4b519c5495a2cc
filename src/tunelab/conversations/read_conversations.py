"""Rows become conversations; the shape of the rows is found by looking at them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.format import Format, fields_of, format_of_fields
from tunelab.conversations.label import labels_of, refuse_unknown_label_field
from tunelab.conversations.messages import from_messages, from_prompt_completion, has_messages
from tunelab.conversations.pairs import from_fields, from_instruction
from tunelab.conversations.session import from_session_line
from tunelab.conversations.sharegpt import from_turns, has_turns
from tunelab.conversations.tables import from_columns, from_text, has_columns, has_text, refuse_unknown_columns
from tunelab.conversations.tools import Tool, read_catalog
from tunelab.errors import DataError, RecipeError, counted, guess, listed
from tunelab.sources import OnBad, Row, refuse

_TURNS = 'a "conversations" list of "from" and "value"'
FORMATS: tuple[Format, ...] = (
    format_of_fields("session", "request", "response", from_session_line),
    Format(name="sharegpt", shape=_TURNS, recognises=has_turns, convert=from_turns),
    Format(name="messages", shape='a "messages" list', recognises=has_messages, convert=from_messages),
    format_of_fields("prompt_completion", "prompt", "completion", from_prompt_completion),
    format_of_fields("instruction", "instruction", "output", from_instruction),
    format_of_fields("query_response", "query", "response", partial(from_fields, "query", "response")),
    format_of_fields("input_output", "input", "output", partial(from_fields, "input", "output")),
    Format(name="text", shape="text and no named fields", recognises=has_text, convert=from_text),
    Format(name="table", shape="named columns", recognises=has_columns, convert=from_columns),
)
"""In the order in which they are asked: the first that recognises a row has its vote."""

_LOOKED_AT = 1000
_LABELLED_AT_ONCE = 100
_GUESSED_AT = 20
_KNOWN_FIELDS = (
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "query",
    "response",
    "request",
    "text",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """Conversations, and how their rows were understood."""

    items: tuple[Conversation, ...]
    format: FormatName
    evidence: str
    """Such as ``messages: 999 of the first 999 rows have a "messages" list``."""


def read_conversations(
    rows: Iterable[Row],
    config: ConversationConfig,
    *,
    base: Path,
    on_bad: OnBad = refuse,
    on_read: Callable[[Conversation], None] = lambda conversation: None,
) -> Conversations:
    """Return the conversations of the rows.

    Args:
        base: the folder that `tool_catalog` is relative to.
        on_bad: receives the error of each row that cannot be converted; the default raises it.
        on_read: told of each conversation as it is read.

    Raises:
        DataError: rows of no known shape, preference pairs, or a tool catalogue that cannot be read.
        RecipeError: a table without its templates, or templates for what is no table.
    """
    catalog = read_catalog(base / os.path.expanduser(config.tool_catalog)) if config.tool_catalog else None
    stream = iter(rows)
    first = list(islice(stream, _LOOKED_AT))
    format, evidence = find_format(first, config)
    if format.name == "table":
        refuse_unknown_columns(first, config)
    refuse_unknown_label_field(first, config)
    items: list[Conversation] = []
    rows = chain(first, stream)
    while some := list(islice(rows, _LABELLED_AT_ONCE)):
        said = []
        for row in some:
            try:
                if not format.recognises(row):
                    raise _stranger(row, format, evidence)
                said.append((row, format.convert(row, config)))
            except DataError as error:
                on_bad(error)
        labels = labels_of(said, config)
        for (_, each), label in zip(said, labels, strict=True):
            items.append(_with_settings(each, label, config, catalog))
            on_read(items[-1])
    return Conversations(items=tuple(items), format=format.name, evidence=evidence)


def find_format(rows: list[Row], config: ConversationConfig) -> tuple[Format, str]:
    """Return the shape of some rows, and the evidence for it.

    Raises:
        DataError: no row, rows of no known shape, or preference pairs.
        RecipeError: a table without its templates, or templates for what is no table.
    """
    templates = [name for name in ("prompt_template", "completion_template") if getattr(config, name) is not None]
    named = "table" if templates and config.format == "auto" else config.format
    if templates and named != "table":
        raise RecipeError(
            f"data.{templates[0]} is for tables, and data.format says {named}", where="data.format", expected="table"
        )
    if named != "auto":
        why = f"data.{templates[0]} is set" if config.format == "auto" else "named by data.format"
        return next(format for format in FORMATS if format.name == named), f"{named}: {why}"
    if not rows:
        raise DataError("there is no readable row", expected="at least one")
    votes = Counter(next((format.name for format in FORMATS if format.recognises(row)), "none") for row in rows)
    name, count = votes.most_common(1)[0]
    pairs = sum({"chosen", "rejected"} <= fields_of(row).keys() for row in rows)
    if pairs * 2 > len(rows):
        remedy = 'Keep "prompt" and "chosen", and name the latter "completion".'
        raise DataError(
            "the rows are preference pairs (chosen, rejected)",
            where=str(rows[0].origin),
            expected="one answer to train on",
            remedy=remedy,
        )
    if name in ("table", "none"):
        raise _unknown(rows[0])
    format = next(format for format in FORMATS if format.name == name)
    has = "has" if len(rows) == 1 else "have"
    return format, f"{name}: {count:,} of the first {counted(len(rows), 'row')} {has} {format.shape}"


def _stranger(row: Row, format: Format, evidence: str) -> DataError:
    other = next((each for each in FORMATS[:-1] if each.recognises(row)), None)
    seen = (
        f"looks like {other.name} ({other.shape})" if other else f"has the fields {listed(fields_of(row)) or 'of none'}"
    )
    return DataError(f"the row {seen}", where=str(row.origin), expected=f"{format.shape} ({evidence})")


def _unknown(row: Row) -> DataError:
    fields = fields_of(row)
    guesses = (guess(name, _KNOWN_FIELDS) for name in islice(fields, _GUESSED_AT) if name not in _KNOWN_FIELDS)
    meant = next((f"{each} " for each in guesses if each), "")
    shapes = "; ".join(f"{format.name} ({format.shape})" for format in FORMATS[:-1])
    first, *_, last = [*fields, "answer"] if len(fields) == 1 else fields or ("question", "answer")
    remedy = f'{meant}For other columns, set data.prompt_template (such as "{{{first}}}") '
    remedy += f'and data.completion_template (such as "{{{last}}}").'
    return DataError(
        f"the row has the fields {listed(fields) or '(none)'}",
        where=str(row.origin),
        expected=f"one of: {shapes}",
        remedy=remedy,
    )


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
