"""The files that are cleaned together: each of them once, and all of one kind."""

from collections.abc import Sequence
from itertools import islice

from tunelab.cleaning.conversation_facts import Shape, find_shape
from tunelab.conversations import ConversationConfig
from tunelab.errors import DataError
from tunelab.sources import SourceFile, read_rows

_SHAPE_ROWS = 100
"""Rows of each file but the first by which its kind is judged."""


def each_once(files: Sequence[SourceFile]) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    """Return the files without those that are named again, by the same name or by another; and a note on each."""
    kept: dict[object, SourceFile] = {}
    notes = []
    for file in files:
        key: object = file.name
        if file.path is not None and file.path.exists():
            about = file.path.stat()
            key = (about.st_dev, about.st_ino)
        first = kept.setdefault(key, file)
        if first is not file:
            same = "is named twice" if first.name == file.name else f"is the same file as {first.name}"
            notes.append(f"{file.name} {same} and is read once")
    return tuple(kept.values()), tuple(dict.fromkeys(notes))


def refuse_mixed(
    files: Sequence[SourceFile], shape: Shape | None, evidence: str, conversation: ConversationConfig
) -> None:
    """Raise a DataError for the first file whose rows are of another kind than those of the first: `shape`."""
    for file in files[1:]:
        rows = list(islice(read_rows([file], on_bad=lambda error: None), _SHAPE_ROWS))
        if not rows:
            continue
        other, _, seen = find_shape(rows, conversation)
        if _name(other) != _name(shape):
            raise DataError(
                f"{files[0].name} is {_kind(shape, evidence)}, and {file.name} is {_kind(other, seen)}",
                expected="files of one kind",
                remedy="Clean them one by one, each into an output of its own.",
            )


def _name(shape: Shape | None) -> str:
    return "" if shape is None else shape.format.name


def _kind(shape: Shape | None, evidence: str) -> str:
    return evidence if shape is None else f'conversations of the kind "{shape.format.name}"'
