"""Rows that nobody should train on as they are: preference pairs, answers marked bad, trees of messages, pictures."""

from collections.abc import Sequence

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.describing_fields import is_worse
from tunelab.conversations.field_advice import train_on_better
from tunelab.conversations.field_types import Fields, fault, fields_of
from tunelab.sources import Row

_CHOSEN = ("chosen", "preferred_output")
_VERDICTS = ("label", "kto_tag", "is_correct", "correct", "desirable", "is_good", "score", "reward")
"""Fields that say of an answer that it is good or bad, if they hold nothing but yes and no."""
_WORDS_ALONE = ("label",)
"""Those whose 0 and 1 may be classes: they are a verdict only next to prompt and completion, as KTO's rows have it."""
_GRADES = ("score", "reward")
"""Those that are 0 where nobody gave one: a verdict only if some are 1."""
_WORDS = {"true": True, "false": False}
_KTO = frozenset({"prompt", "completion"})
_MEDIA = frozenset({"images", "image", "videos", "video", "audios", "audio"})
_TREE = frozenset({"message_id", "parent_id", "role", "text"})


def refuse_pairs_and_trees(rows: Sequence[Row], config: ConversationConfig) -> None:
    """Raise a DataError for rows that are mostly preference pairs, or single messages of a tree."""
    if not set(_CHOSEN).isdisjoint(config.field_map.values()):
        return  # the better answer is named as what is to be trained
    pairs = [(row, name) for row in rows if (name := _rejected(fields_of(row)))]
    if len(pairs) * 2 > len(rows):
        row, rejected = pairs[0]
        chosen = next((name for name in _CHOSEN if name in fields_of(row)), "")
        what = f"the rows are preference pairs ({', '.join(filter(None, (chosen, rejected)))})"
        raise fault(row.origin, what, "one answer to train on", _way_out(row, chosen, rejected, config))
    trees = [row for row in rows if fields_of(row).keys() >= _TREE]
    if len(trees) * 2 > len(rows):
        what = "the rows are single messages of a tree (message_id, parent_id)"
        remedy = 'Write each path from a first message to a last one as one row with a "messages" list.'
        raise fault(trees[0].origin, what, "whole conversations", remedy)


def verdicts_in(rows: Sequence[Row], config: ConversationConfig) -> tuple[str, ...]:
    """Return the fields of some rows by which an answer is good or bad."""
    return tuple(name for name in _VERDICTS if name != config.label_field and _is_verdict(name, rows))


def refuse_bad_answer(row: Row, verdicts: Sequence[str]) -> None:
    """Raise a DataError for a row that says its answer is bad, and for one with pictures or sounds."""
    fields = fields_of(row)
    for name in verdicts:
        if _truth(fields.get(name)) is False:
            remedy = f"Leave such rows out with --skip-bad-rows (data.bad_rows: skip); if {name} is a class, "
            remedy += f"set data.label_field: {name}."
            raise fault(row.origin, f"{name} is {fields[name]}: the row says that its answer is bad", "", remedy)
    if not _MEDIA.isdisjoint(fields) and (
        medium := next((name for name in fields if name in _MEDIA and fields[name]), "")
    ):
        remedy = "Leave the row out (data.bad_rows: skip), or remove the field if the text alone makes sense."
        raise fault(row.origin, f"the row has {medium}, and only text is trained", "text alone", remedy)


def _rejected(fields: Fields) -> str:
    """Return the field of a worse answer; empty if there is none."""
    names = (name for name in fields if is_worse(name))
    return next((name for name in names if isinstance(fields[name], str | list | dict)), "")


def _way_out(row: Row, chosen: str, rejected: str, config: ConversationConfig) -> str:
    """Return what to do so that the better answer of such rows is trained."""
    return train_on_better(row, chosen, config) if chosen else f"Remove {rejected} to train on the answers next to it."


def _is_verdict(name: str, rows: Sequence[Row]) -> bool:
    having = [fields for row in rows if (fields := fields_of(row)).get(name) not in (None, "")]
    values = [fields[name] for fields in having]
    if name in _WORDS_ALONE and not all(fields.keys() >= _KTO for fields in having):
        values = [value if isinstance(value, bool) or str(value).strip().lower() in _WORDS else "" for value in values]
    said = {_truth(value) for value in values}
    return bool(said) and None not in said and (True in said or name not in _GRADES)


def _truth(value: object) -> bool | None:
    if isinstance(value, str):
        return {**_WORDS, "1": True, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None
