"""Marks that say which answers are trained, as other tools write them: on a message, or on a row for all of them.

| name | says | trained if | written by |
|---|---|---|---|
| ``weight`` | number | 1 | OpenAI, Mistral, Together |
| ``loss`` | truth | true | ms-swift, AgentTuning |
| ``loss_weight`` | number | 1 | LLaMA-Factory |
| ``loss_mask`` | number | 1 | loss masks of Megatron and others |
| ``train``, ``trainable`` | truth | true | Axolotl |
| ``train_detail`` | parts, each with ``train`` | all of the answer is true | Axolotl |
| ``masked`` | truth | false | torchtune |
| ``mask`` | a role | the answers of other roles | NeMo |

An answer is trained whole or not at all: a fraction, and an answer of which a part is trained, are refused. A ``mask``
that is a number means the one in some tools and the opposite in others: it is refused, with the names to choose from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isnan

from tunelab.conversations.conversation import Message
from tunelab.conversations.field_map import MARKS
from tunelab.conversations.field_types import Fields, fault, items
from tunelab.sources import Origin, kind_of

_NAMES = frozenset(MARKS)
_WORDS = {"true": True, "false": False, "yes": True, "no": False}
_PARTLY = "An answer is trained whole or not at all: round the value, or split the row"


def is_marked_out(message: Fields, content: str | None, path: str, origin: Origin) -> bool:
    """Tell whether an assistant's message carries a mark that it is not trained."""
    if _NAMES.isdisjoint(message):
        return False
    said = [_is_trained(name, message[name], content, f"{path}: {name}", origin) for name in MARKS if name in message]
    return False in said


def mark_out(row: Fields, messages: Sequence[Message], roles: Mapping[str, str], origin: Origin) -> Sequence[Message]:
    """Return the messages, those marked that the marks of their row leave out: a value for all, or one for each."""
    if _NAMES.isdisjoint(row):
        return messages
    for name in (name for name in MARKS if name in row):
        messages = _marked_by(name, row[name], messages, roles, origin)
    return messages


def _marked_by(
    name: str, value: object, messages: Sequence[Message], roles: Mapping[str, str], origin: Origin
) -> Sequence[Message]:
    if name == "mask" and isinstance(value, str) and (role := roles.get(value, roles.get(value.lower()))):
        return _left_out(messages, lambda _: role == "assistant")
    if name == "train_detail" or not (isinstance(value, list) or str(value).lstrip().startswith("[")):
        said = _is_trained(name, value, None, name, origin)
        return _left_out(messages, lambda _: said is False)
    values = items(value, name, origin)
    places = [index for index, each in enumerate(messages) if each.role == "assistant"]
    if len(values) == len(messages):
        values = [values[index] for index in places]
    elif len(values) != len(places):
        what = f"{name} has {len(values)} entries for {len(messages)} messages, {len(places)} of them answers"
        raise fault(origin, what, "one entry for each message, or one for each answer")
    each_said = [_is_trained(name, each, None, f"{name}: entry {n}", origin) for n, each in enumerate(values, start=1)]
    out = {place for place, said in zip(places, each_said, strict=True) if said is False}
    return _left_out(messages, lambda index: index in out)


def _left_out(messages: Sequence[Message], is_out: Callable[[int], bool]) -> list[Message]:
    return [
        replace(each, untrained="marked") if each.role == "assistant" and is_out(index) else each
        for index, each in enumerate(messages)
    ]


def _is_trained(name: str, value: object, content: str | None, path: str, origin: Origin) -> bool | None:
    """Return what a mark says; None if it says nothing."""
    if value is None or value == "" or (isinstance(value, float) and isnan(value)):
        return None
    if name == "train_detail":
        return _is_trained_whole(items(value, path, origin), content, path, origin)
    said = _truth(value)
    if said is None:
        remedy = f"{_PARTLY}; a field of another meaning needs another name."
        raise fault(
            origin, f"{path} is {value if isinstance(value, int | float) else kind_of(value)}", "0 or 1", remedy
        )
    if name == "mask":
        remedy = "Set data.field_map: {loss_mask: mask} if 1 means trained, or {masked: mask} if it means left out."
        raise fault(origin, f"{path} is {value}, which some tools read as trained and others as left out", "", remedy)
    return said is not (name == "masked")


def _truth(value: object) -> bool | None:
    """Return a truth, a 0 or a 1, or the words of one; None for everything else."""
    if isinstance(value, str):
        word = value.strip().lower()
        return _WORDS.get(word, {"0": False, "1": True, "0.0": False, "1.0": True}.get(word))
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def _is_trained_whole(parts: Sequence[object], content: str | None, path: str, origin: Origin) -> bool | None:
    """Return what Axolotl's parts say of the whole answer; the ends of a part belong to it."""
    said, covered = set(), 0
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("train"), bool):
            raise fault(origin, f"{path} is no list of parts", '[{"begin_offset", "end_offset", "train"}, …]')
        begin, end = part.get("begin_offset"), part.get("end_offset")
        covered += end - begin + 1 if isinstance(begin, int) and isinstance(end, int) else 0
        said.add(part["train"])
    if not parts:
        return None
    if len(said) == 2 or covered < len(content or ""):
        raise fault(origin, f"{path} trains a part of the answer", "one value for the whole answer", f"{_PARTLY}.")
    return True in said
