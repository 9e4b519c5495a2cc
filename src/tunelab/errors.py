"""The error tree. Every error a user can cause is a `UserError`: one message, exit code 2, no traceback.

TunelabError
└── UserError               the caller can fix it
    ├── DataError           a row, a file of rows, a conversation
    ├── RecipeError         a key or a value of a recipe
    ├── ModelError          a base model or its tokenizer
    ├── AdapterError        an adapter that does not fit
    ├── RunError            a run folder: locked, unfinished, not found
    ├── WorkspaceError      a workspace, a project in it, a model of the catalogue
    ├── StorageError        disk full, permission refused
    └── MissingExtraError   an optional dependency is not installed
Anything else that escapes is a bug of tunelab and keeps its traceback.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import PurePath

_MAX_CHARS = 20_000
_MAX_LINE_CHARS = 1_000
"""Of each part of a message, and of a line in it: a user's file may hold a text of megabytes."""
_MAX_NAME_CHARS = 100
_MAX_NAMES = 1_000
_LISTED_NAMES = 12


TRY_AGAIN = 75
"""The exit code if a process or a machine was lost (EX_TEMPFAIL): schedulers may give the same command again."""


class TunelabError(Exception):
    """Root of everything tunelab raises on purpose."""


class UserError(TunelabError):
    """What was seen and where, what was expected, what to do.

    Args:
        what: the fault in one clause, e.g. ``message 3 has role "assistent"``.
        where: the place, e.g. ``train.jsonl:214`` or ``recipe.yaml: training.learning_rate``.
        expected: what would have been right, without a leading "expected".
        remedy: the next thing to do, as a sentence.
    """

    exit_code = 2
    """What a command ends with; `TRY_AGAIN` if the same command may well succeed the next time."""

    def __init__(self, what: str, *, where: str = "", expected: str = "", remedy: str = "") -> None:
        what, where, expected, remedy = (_shortened(part) for part in (what, where, expected, remedy))
        self.what, self.where, self.expected, self.remedy = what, where, expected, remedy
        message = f"{where}: {what}" if where else what
        if expected:
            message += f"; expected {expected}"
        message = message if message.endswith("?") else message.rstrip(".") + "."
        if remedy:
            message += f" {remedy}"
        super().__init__(message)


class DataError(UserError):
    """A file of rows, a row or a conversation is not what it should be."""

    row_text: str | None = None
    """The row as it is in the file, if whoever read it knows; no part of the message."""


class RecipeError(UserError):
    """A recipe names an unknown key or an impossible value."""


class ModelError(UserError):
    """A base model or its tokenizer cannot be used."""


class AdapterError(UserError):
    """An adapter does not fit its base model or its settings."""


class RunError(UserError):
    """A run folder is in use, unfinished or missing."""


class WorkspaceError(UserError):
    """A workspace, a project in it or an entry of the catalogue is not what it should be."""


class StorageError(UserError):
    """The disk refused a write."""


class MissingExtraError(UserError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"this command needs {package}, which is not installed",
            remedy=f'Install it with: pip install "tunelab[{extra}]"',
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known name, or the sorted list of known names."""
    names = sorted(known)
    return guess(name, names) or f"Known names: {listed(names, at_most=_MAX_NAMES)}."


def guess(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known name; empty if none is near or it is a whole text."""
    if len(name) > _MAX_NAME_CHARS:
        return ""
    from difflib import get_close_matches

    nearest = get_close_matches(name, sorted(islice(known, _MAX_NAMES)), n=1)
    return f'Did you mean "{nearest[0]}"?' if nearest else ""


def guess_file(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest file; what comes after the first dot makes no name alike."""
    from difflib import get_close_matches

    stems = {PurePath(each).name.partition(".")[0]: each for each in sorted(known, reverse=True)}
    nearest = get_close_matches(PurePath(name).name.partition(".")[0], stems, n=1, cutoff=0.7)
    return f'Did you mean "{stems[nearest[0]]}"?' if nearest else ""


def listed(names: Iterable[str], *, at_most: int = _LISTED_NAMES) -> str:
    """Return ``a, b, c``, or ``a, b and 7 more`` if there are more than `at_most`."""
    every = list(names)
    more = f" and {len(every) - at_most:,} more" if len(every) > at_most else ""
    return ", ".join(every[:at_most]) + more


def counted(count: int, noun: str) -> str:
    """Return ``1 row``, ``2,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shortened(text: str) -> str:
    if len(text) > _MAX_CHARS:
        text = text[:_MAX_CHARS] + "…"
    return "\n".join(
        line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + "…" for line in text.split("\n")
    )
