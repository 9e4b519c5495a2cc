"""What to set in `data.field_map` for rows whose fields have other names than the formats read."""

from collections.abc import Mapping, Sequence

from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.field_map import LIST_FIELDS
from tunelab.conversations.field_types import Fields
from tunelab.conversations.prepared_row import list_in
from tunelab.sources import Row

_QUESTIONS = ("prompt", "instruction", "query", "question", "input", "problem")
_ANSWERS = ("completion", "response", "output", "answer", "solution", "reply")
_READ_TOGETHER = {
    "prompt": ("prompt", "completion"),
    "instruction": ("instruction", "output"),
    "input": ("input", "output"),
}
"""Field of a question -> the fields of the format that reads it and its answer."""
_ASKING = frozenset({"user", "human"})
_FROM_MESSAGES = 'Write each row as {"messages": […]}, the question and the better answer in messages of their own.'


def map_of_pair(fields: Fields, answer: str = "") -> dict[str, str]:
    """Return the map for a question and an answer in fields with usual names; empty if there are none.

    Args:
        answer: the field of the answer, if its name is no usual one.
    """
    question = _named(_QUESTIONS, fields)
    answer = answer or _named(_ANSWERS, fields)
    if not question or not answer:
        return {}
    more = {"input", "context"} & fields.keys() - {question}
    usual = ("instruction", "output") if more else ("query", "response")
    return dict(zip(_READ_TOGETHER.get(question.lower(), usual), (question, answer), strict=True))


def map_of_better(row: Row, chosen: str) -> dict[str, str]:
    """Return the map that trains the better answer of a preference pair; empty if no map does."""
    fields = row.value if isinstance(row.value, dict) else {}
    better = list_in(fields[chosen], row.origin) or fields[chosen]
    if chosen == "preferred_output":
        return {"request": "input", "response": chosen}
    question = _named(_QUESTIONS, fields)
    if isinstance(better, list) and (_asks(better) or not (question or _has_messages(fields))):
        return {"messages": chosen}
    if _has_messages(fields):
        return {"response": chosen}
    if isinstance(better, list):
        return {"prompt": question, "completion": chosen}
    if not isinstance(better, str) or (question and fields[question] and better.startswith(str(fields[question]))):
        return {}
    return map_of_pair(fields, chosen)


def train_on_better(row: Row, chosen: str, config: ConversationConfig) -> str:
    """Return what to do to train on the better answers of preference pairs."""
    if mapped := map_of_better(row, chosen):
        return f"To train on the better answers, set {setting(mapped, config)}."
    return f"No data.field_map reads the better answers of such rows. {_FROM_MESSAGES}"


def setting(mapped: Mapping[str, str], config: ConversationConfig) -> str:
    """Return ``data.field_map: {query: question}`` with what is mapped already; a field keeps its name unsaid."""
    theirs = {ours: config.field_map.get(name, name) for ours, name in mapped.items()}
    whole = {**config.field_map, **theirs}
    return f"data.field_map: {{{', '.join(f'{ours}: {name}' for ours, name in whole.items() if ours != name)}}}"


def _named(names: Sequence[str], fields: Fields) -> str:
    """Return the first field with one of some names, in any case, that holds text, or messages as a prompt may."""
    known = {name.lower(): name for name, value in fields.items() if isinstance(value, str | list)}
    there = (known[name] for name in names if name in known)
    return next((name for name in there if isinstance(fields[name], str) or name == "prompt"), "")


def _asks(messages: Sequence[object]) -> bool:
    roles = (each.get("role", each.get("from")) for each in messages if isinstance(each, dict))
    return any(str(role).lower() in _ASKING for role in roles)


def _has_messages(fields: Fields) -> bool:
    return any(isinstance(fields.get(name), list) for name in LIST_FIELDS)
