"""The fields by which rows are sliced: those of the data that a suite names, and some that are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tunelab.conversations import Conversation
from tunelab.errors import RecipeError, did_you_mean
from tunelab.evaluation.rows.evaluated_row import ExpectedCall
from tunelab.flows.evaluating.task_rows import SuiteRows
from tunelab.flows.subject import SubjectParts
from tunelab.sources import SourceFile, locate_data, read_rows
from tunelab.texts.language import language_of

_LENGTHS = (64, 256, 1024, 4096)
_LONGEST_VALUE = 60


def found_fields(
    conversation: Conversation,
    turn: int,
    *,
    asked: str,
    num_prompt_tokens: int,
    label: str | None,
    calls: Sequence[ExpectedCall] | None,
) -> dict[str, str]:
    """Return the fields of an answered message that need no name: language, prompt length, turn, label and tool."""
    fields = {"language": language_of(asked), "prompt length": _bucket(num_prompt_tokens)}
    if turn >= 0:
        fields["turn"] = str(1 + sum(message.role == "assistant" for message in conversation.messages[:turn]))
    if label is not None:
        fields["label"] = label
    if calls is not None:
        fields["tool"] = calls[0].name if calls else "(none)"
    return fields


def slice_fields(names: Sequence[str], rows: SuiteRows, parts: SubjectParts) -> dict[str, dict[str, str]]:
    """Return file:line -> value of each named field, of the rows that have it.

    Args:
        names: fields of the data's rows.
        rows: of the suite.
        parts: of the model by whose recipe they were read.

    Raises:
        RecipeError: a field that no row has.
    """
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    known: set[str] = set()
    for row in read_rows(_files(rows, parts)):
        if isinstance(row.value, Mapping):
            known |= row.value.keys()
            found[str(row.origin)] = {name: _shown(row.value[name]) for name in names if name in row.value}
    for name in names:
        if name not in known:
            raise RecipeError(f'no row has a field "{name}"', where="slices", remedy=did_you_mean(name, known))
    return found


def _files(rows: SuiteRows, parts: SubjectParts) -> Iterable[SourceFile]:
    """Return the files of the tasks, named as the origins of their conversations are."""
    here = Path.cwd()
    for task in rows.tasks:
        if task.config.rows is not None:
            yield SourceFile(name=task.config.rows, path=Path(task.config.rows))
    if any(task.config.rows is None for task in rows.tasks):
        files = locate_data(parts.recipe.data, base=parts.base)
        for file in (*files.train, *files.eval):
            if file.path is not None:
                near = file.path.is_relative_to(here)
                name = str(file.path.relative_to(here) if near else file.path)
                yield SourceFile(name=name, path=file.path)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _bucket(num_tokens: int) -> str:
    above = next((limit for limit in _LENGTHS if num_tokens <= limit), None)
    return f"up to {above:,} tokens" if above else f"more than {_LENGTHS[-1]:,} tokens"
