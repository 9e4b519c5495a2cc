"""Tables of any columns, made conversations by two templates; and plain text."""

import json
from collections.abc import Iterator
from math import isfinite
from string import Formatter

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.format import build, fields_of
from tunelab.conversations.values import fault, text
from tunelab.errors import RecipeError, did_you_mean
from tunelab.sources import Row


def has_columns(row: Row) -> bool:
    """Tell whether a row has named fields at all."""
    return bool(fields_of(row))


def from_columns(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation that `prompt_template` and `completion_template` make of a row's columns."""
    columns = ", ".join(fields_of(row))
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
    messages = [Message(role="user", content=question), Message(role="assistant", content=answer)]
    return build(row, config, messages, fields={})  # columns called system or tools are columns


def has_text(row: Row) -> bool:
    """Tell whether a row is a paragraph of a text file, or ``{"text"}``."""
    return isinstance(row.value, str) or "text" in row.value


def from_text(row: Row, config: ConversationConfig) -> Conversation:
    """Return the plain text of a row, to be continued."""
    value = row.value if isinstance(row.value, str) else row.value["text"]
    return Conversation(text=text(value, "text", row.origin), origin=row.origin)


def _filled(template: str, name: str, row: Row) -> Iterator[str]:
    """Yield the pieces of a template. A column is looked up by its whole name: no attribute is."""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(
            f"the template is broken ({error})",
            where=f"data.{name}",
            remedy="Write a brace that is text twice: {{ or }}.",
        ) from None
    for literal, column, specification, conversion in pieces:
        yield literal
        if column is None:
            continue
        known = fields_of(row)
        if column not in known or specification or conversion:
            remedy = f"{did_you_mean(column, known)} Write a brace that is text twice: {{{{ or }}}}."
            raise fault(row.origin, f'{name} names the column "{column}", which the row does not have', remedy=remedy)
        value = known[column]
        if value is None or (isinstance(value, float) and not isfinite(value)):
            raise fault(
                row.origin, f'the column "{column}" is {"null" if value is None else value}', f"a value for the {name}"
            )
        if isinstance(value, bool | int | float | list | dict):
            value = json.dumps(value, ensure_ascii=False, default=str)
        yield str(value)
