"""A YAML file: each value with the line that it was written on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError
from tunelab.recipes.recipe import SECTIONS
from tunelab.recipes.yaml_file import load

_REPORTED_FAULTS = 20
MAX_KEYS = 1_000
MAX_VALUES = 10_000
"""Of all keys together, if values may be nested: aliases cannot make more of a page."""
_ENDLESS = repeat(0)
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value that somebody gave, and where."""

    value: Any
    source: str
    """Such as ``recipe.yaml:7``, ``--set`` or ``environment LLM_LORA__R``."""


Layer = dict[str, Setting]
"""Dotted canonical key -> setting. A bare section name is an empty section."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to say of a file."""

    about: str
    """The canonical key it concerns: the note falls away when something else sets that key. Empty: always said."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of the file."""

    section: str
    """The mapping that it is in; empty at the top."""
    key: str
    value: Any
    """A scalar, or a list or mapping of scalars."""
    where: str
    """``recipe.yaml:7``."""

    @property
    def dotted(self) -> str:
        """`section.key`, or the key alone at the top."""
        return f"{self.section}.{self.key}" if self.section else self.key


class Faults(list[RecipeError]):
    """Faults of a recipe, noted one by one and reported together."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep a RecipeError of the context, and go on after it."""
        try:
            yield
        except RecipeError as error:
            self.append(error)

    def report(self) -> None:
        """Raise what was noted, as one error; do nothing if all was well."""
        if len(self) == 1:
            raise self[0]
        if self:
            more = [f"and {len(self) - _REPORTED_FAULTS} more"] if len(self) > _REPORTED_FAULTS else []
            reported = [*map(str, self[:_REPORTED_FAULTS]), *more]
            raise RecipeError("\n  ".join([f"the recipe has {len(self)} faults:", *reported])) from self[0]


def _is_section(dotted: str) -> bool:
    return "." not in dotted or dotted in SECTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """A YAML file that holds a mapping."""

    path: Path
    content: dict[str, Any]
    """As ruamel reads it, which knows the line of each key."""
    run_folder: Path | None = None
    """The folder of the run that the file is read for, which need not exist; None if no run is named."""

    @property
    def names(self) -> frozenset[str]:
        """The keys, and those of the mappings under them: by these a form of recipes is recognised."""
        inner = (f"{key}.{name}" for key, value in self.content.items() if isinstance(value, dict) for name in value)
        return frozenset([*map(str, self.content), *inner])

    def entries(self, *, opens: Callable[[str], bool] = _is_section, depth: int = 1) -> list[Entry]:
        """Return the keys in the order of the file, those of mappings one by one.

        Args:
            opens: whether the keys of a mapping, named by its own dotted key, are entries; else it is one value.
            depth: how deep lists and mappings in a value may be nested.

        Raises:
            RecipeError: too many keys or values, or nesting that no setting has.
        """
        budget = iter(range(MAX_VALUES)) if depth > 1 else _ENDLESS
        entries = list(islice(_entries(self.content, self.path, "", opens, depth, budget), MAX_KEYS + 1))
        if len(entries) > MAX_KEYS:
            raise RecipeError(f"the file has more than {MAX_KEYS:,} keys", where=str(self.path), expected="a recipe")
        return entries


def read_document(path: Path, *, run_folder: Path | None = None) -> YamlDocument:
    """Return a YAML file that holds a mapping.

    Args:
        path: the file.
        run_folder: the folder of the run that it is read for.

    Raises:
        RecipeError: no such file, not UTF-8, no YAML, no mapping, a duplicate key.
    """
    document = load(path)
    if document is None:
        remedy = "An empty recipe says nothing about the data: set at least data.train_files."
        raise RecipeError("the recipe is empty", where=str(path), remedy=remedy)
    if not isinstance(document, dict):
        raise RecipeError(
            f"this is a {_kind(document)}", where=str(path), expected="sections with settings, such as data:"
        )
    return YamlDocument(path=path, content=document, run_folder=run_folder)


def _entries(
    mapping: Any, path: Path, section: str, opens: Callable[[str], bool], depth: int, budget: Iterator[int]
) -> Iterator[Entry]:
    for key, value in mapping.items():
        dotted, where = f"{section}.{key}" if section else str(key), _place(mapping, key, path)
        if isinstance(value, dict) and value and opens(dotted):
            yield from _entries(value, path, dotted, opens, depth, budget)
        else:
            yield Entry(
                section=section, key=str(key), value=plain(value, where, depth=depth, budget=budget), where=where
            )


def _place(mapping: Any, key: Any, path: Path) -> str:
    return f"{path}:{mapping.lc.key(key)[0] + 1}"


def plain(value: Any, where: str, *, depth: int = 1, budget: Iterator[int] = _ENDLESS) -> Any:
    """Return `value` in Python's own types; depth and budget bound what aliases can blow up to.

    Raises:
        RecipeError: a value that no setting has: lists in lists, a date, what a tag makes, half a character.
    """
    if next(budget, None) is None:
        raise RecipeError(f"the file holds more than {MAX_VALUES:,} values", where=where, expected="a recipe")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _whole(value, where)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if depth and isinstance(value, list):
        return [plain(item, where, depth=depth - 1, budget=budget) for item in value]
    if depth and isinstance(value, dict):
        return {str(key): plain(item, where, depth=depth - 1, budget=budget) for key, item in value.items()}
    raise RecipeError(
        f"this is a {_kind(value)}", where=where, expected="text, a number, true, false, null, or a list of these"
    )


def _whole(text: str, where: str) -> str:
    """Return a text whose characters are whole: two escapes such as JSON writes for one are that one.

    Bytes of file names that are no UTF-8 stay as Python passes them around.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if _HALF.search(text):
        raise RecipeError(
            "a \\uD8xx escape without its other half", where=where, expected="both halves of a surrogate pair"
        )
    return text


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "mapping"
    tag = getattr(getattr(value, "tag", None), "value", None)
    return (
        f"value tagged {tag}"
        if tag
        else {"str": "text", "int": "number", "float": "number"}.get(type(value).__name__, "date")
    )
