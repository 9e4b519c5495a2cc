"""The label of a conversation: the class that its row, or its answer, says it is of."""

import json
import re
from collections.abc import Sequence

import msgspec

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.field_map import read_under
from tunelab.conversations.field_types import fields_of
from tunelab.conversations.fingerprints import trained_turns
from tunelab.conversations.safe_regex import first_matches
from tunelab.errors import RecipeError, guess
from tunelab.sources import Row

LABEL_SETTINGS = ("label_field", "label_json_key", "label_pattern")


def labels_of(said: Sequence[tuple[Row, Conversation]], config: ConversationConfig) -> list[str] | list[None]:
    """Return what `label_field`, `label_json_key` or `label_pattern` finds: empty for nothing; None where none is set.

    The latter two look into the last trained answer, or into a plain text. Values that are no text are given as JSON.
    """
    if config.label_field is not None:
        field = read_under(config.label_field, config.field_map)
        return [as_label(fields_of(row).get(field)) for row, _ in said]
    if config.label_json_key is not None:
        return [as_label(object_in(last_answer(each)).get(config.label_json_key)) for _, each in said]
    if config.label_pattern is not None:
        return list(map(as_label, first_matches(config.label_pattern, [last_answer(each) for _, each in said])))
    return [None] * len(said)


def as_label(value: object) -> str:
    """Return the label that a field holds: its words, blanks made one; what is no text as JSON; empty for null."""
    if value is None:
        return ""
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return " ".join(words.split())


def refuse_unknown_label_field(rows: Sequence[Row], config: ConversationConfig) -> None:
    """Raise a RecipeError for a `label_field` that none of the first rows has."""
    known = dict.fromkeys(field for row in rows for field in fields_of(row))
    if known and config.label_field is not None and read_under(config.label_field, config.field_map) not in known:
        raise RecipeError(
            f'no row has the field "{config.label_field}"',
            where="data.label_field",
            expected=f"one of {', '.join(known)}",
            remedy=guess(config.label_field, known),
        )


def last_answer(conversation: Conversation) -> str:
    """Return the words of the last trained answer, or a plain text."""
    turns = trained_turns(conversation)
    return (conversation.messages[turns[-1]].content if turns else conversation.text) or ""


def object_in(answer: str) -> dict[str, object]:
    """Return the JSON object that an answer is, in a fenced block or bare; empty where it is none."""
    block = _FENCED.fullmatch(answer)
    try:
        value = msgspec.json.decode(block[1] if block else answer)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}
    return value if isinstance(value, dict) else {}


_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)```\s*", re.DOTALL)
