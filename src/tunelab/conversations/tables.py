"""Tables of any columns, made conversations by two templates; and plain text."""

import json
from collections.abc import Iterator, Sequence
from math import isfinite
from string import Formatter

from tunelab.conversations.build_conversation import session_id_of
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.describing_fields import describes
from tunelab.conversations.field_map import MARKS
from tunelab.conversations.field_types import fault, fields_of, text
from tunelab.conversations.marks import mark_out
from tunelab.conversations.messages import roles_in
from tunelab.errors import RecipeError, did_you_mean, guess, listed
from tunelab.sources import Row

_TEMPLATES = ("prompt_template", "completion_template")
_WITH_TEXT = frozenset({"text", "session_id"})
_AS_TEXT = "Write a brace that is text twice: {{ or }}."


def has_columns(row: Row) -> bool:
    """Tell whether a row has named fields at all."""
    return bool(fields_of(row))


def from_columns(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation that `prompt_template` and `completion_template` make of a row's columns."""
    columns = listed(fields_of(row))
    prompt, completion = config.prompt_template, config.completion_template
    if prompt is None or completion is None:
        missing = "prompt_template" if prompt is None else "completion_template"
        raise RecipeError(
            f"the table has the columns {columns}; which of them make the {missing.partition('_')[0]}",
            where=f"data.{missing}",
            remedy=f'Set data.{missing}, with columns in braces, such as "{{{next(iter(fields_of(row)))}}}".',
        )
    question = "".join(_filled(prompt, "prompt_template", row))
    answer = "".join(_filled(completion, "completion_template", row))
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    # columns called system, tools or weight are columns
    return Conversation(messages=messages, session_id=session_id_of(row), origin=row.origin)


def columns_named(config: ConversationConfig) -> set[str]:
    """Return the columns that the templates name."""
    templates = [(name, getattr(config, name) or "") for name in _TEMPLATES]
    return {column for name, template in templates for _, column, *_ in _pieces(template, name) if column is not None}


def refuse_unknown_columns(rows: Sequence[Row], config: ConversationConfig) -> None:
    """Raise a RecipeError for a column that a template names and none of the first rows has."""
    known = dict.fromkeys(column for row in rows for column in fields_of(row))
    for name in _TEMPLATES:
        for _, field, specification, conversion in _pieces(getattr(config, name) or "", name):
            written = (
                field or "",
                f"!{conversion}" if conversion else "",
                f":{specification}" if specification else "",
            )
            column = "".join(written)
            if known and field is not None and column not in known:
                raise RecipeError(
                    f'the template names the column "{column}", which no row has',
                    where=f"data.{name}",
                    expected=f"one of {listed(known)}",
                    remedy=f"{guess(column, known)} {_AS_TEXT}".strip(),
                )


def has_text(row: Row) -> bool:
    """Tell whether a row is a paragraph of a text file, or ``{"text"}``."""
    return isinstance(row.value, str) or "text" in row.value


def columns_next_to_text(row: Row) -> list[str]:
    """Return the fields next to ``text`` that do more than describe a row: then it is a column of a table."""
    fields = fields_of(row)
    return [name for name in fields if name not in _WITH_TEXT and fields[name] is not None and not describes(name)]


def from_text(row: Row, config: ConversationConfig) -> Conversation:
    """Return the plain text of a row, to be continued.

    A row whose marks (weight, train …) say that it is not trained is refused: nothing of it would be left.
    """
    value = row.value if isinstance(row.value, str) else row.value["text"]
    said = text(value, "text", row.origin)
    answers = mark_out(fields_of(row), [Message(role="assistant", content=said)], roles_in(config), row.origin)
    if answers[0].untrained:
        mark = next(name for name in MARKS if name in fields_of(row))
        what = f"{mark} is {fields_of(row)[mark]}: the row says that its text is not trained"
        raise fault(row.origin, what, remedy="Leave such rows out with --skip-bad-rows (data.bad_rows: skip).")
    return Conversation(text=said, origin=row.origin)


def _pieces(template: str, name: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f"the template is broken ({error})", where=f"data.{name}", remedy=_AS_TEXT) from None


def _filled(template: str, name: str, row: Row) -> Iterator[str]:
    """Yield the pieces of a template. A column is looked up by its whole name: no attribute is."""
    for literal, column, *_ in _pieces(template, name):
        yield literal
        if column is None:
            continue
        known = fields_of(row)
        if column not in known:
            remedy = f"{did_you_mean(column, known)} {_AS_TEXT}"
            raise fault(row.origin, f'{name} names the column "{column}", which the row does not have', remedy=remedy)
        value = known[column]
        if value is None or (isinstance(value, float) and not isfinite(value)):
            raise fault(
                row.origin, f'the column "{column}" is {"null" if value is None else value}', f"a value for the {name}"
            )
        if isinstance(value, bool | int | float | list | dict):
            value = json.dumps(value, ensure_ascii=False, default=str)
        yield str(value)
