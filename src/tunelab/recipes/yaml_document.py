"""A YAML file: each value with the line that it was written on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, guess_file
from tunelab.files import read_small_file
from tunelab.recipes.recipe import SECTIONS
from tunelab.sources.locate_data import DATA_SUFFIXES
from tunelab.sources.text_stream import unpacked_suffix

_REPORTED_FAULTS = 20
_LISTED_FILES = 8
MAX_RECIPE_BYTES = 256 * 2**10
"""A recipe is a page of settings; what is larger is some other file."""
MAX_KEYS = 1_000
MAX_VALUES = 10_000
"""Of all keys together, if values may be nested: aliases cannot make more of a page."""
NESTED = re.compile(r"[\[{](?:\s*[\[{]){50}")
"""Brackets over which ruamel would work for ten seconds before it finds them too many."""
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


def read_document(path: Path) -> YamlDocument:
    """Return a YAML file that holds a mapping.

    Raises:
        RecipeError: no such file, not UTF-8, no YAML, no mapping, a duplicate key.
    """
    document = _parse(path, _read_text(path))
    if document is None:
        remedy = "An empty recipe says nothing about the data: set at least data.train_files."
        raise RecipeError("the recipe is empty", where=str(path), remedy=remedy)
    if not isinstance(document, dict):
        raise RecipeError(
            f"this is a {_kind(document)}", where=str(path), expected="sections with settings, such as data:"
        )
    return YamlDocument(path=path, content=document)


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


def _read_text(path: Path) -> str:
    if os.path.isdir(path):  # unlike Path.is_dir, at ease with names that can be none
        found = ", ".join(sorted(file.name for file in path.glob("*.y*ml"))) or "none"
        raise RecipeError(
            "this is a folder", where=str(path), expected="a recipe file", remedy=f"YAML files in it: {found}."
        )
    if not os.path.isfile(path):
        if os.path.exists(path):
            raise RecipeError("this is a pipe or a device", where=str(path), expected="a recipe file")
        others = [file.name for file in path.parent.glob("*.y*ml")] if os.path.isdir(path.parent) else []
        listed = ", ".join(sorted(others)[:_LISTED_FILES]) or "none"
        remedy = guess_file(path.name, others) or f"YAML files in that folder: {listed}."
        raise RecipeError("there is no such recipe", where=str(path), remedy=remedy)
    if unpacked_suffix(path) in DATA_SUFFIXES and not _is_fine_tuning_job(path):
        remedy = f"Put this line into recipe.yaml, and give that: data: {{train_files: {json.dumps(str(path))}}}"
        raise RecipeError("this is data, not a recipe", where=str(path), remedy=remedy)
    try:
        content = read_small_file(path, max_bytes=MAX_RECIPE_BYTES)
    except OSError as error:
        expected = f"at most {MAX_RECIPE_BYTES >> 10} KiB of YAML"
        raise RecipeError(
            f"it cannot be read ({error.strerror or error})", where=str(path), expected=expected
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        remedy = "Save the file as UTF-8."
        what = f"byte {content[error.start]:#04x} is not UTF-8"
        raise RecipeError(what, where=f"{path}:{line}", expected="UTF-8 text", remedy=remedy) from error


def _is_fine_tuning_job(path: Path) -> bool:
    """Return whether a JSON file is a job of OpenAI's API, and no rows."""
    try:
        return path.suffix == ".json" and b'"training_file"' in read_small_file(path, max_bytes=MAX_RECIPE_BYTES)
    except OSError:
        return False


def _parse(path: Path, text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class WithoutMerges(RoundTripConstructor):
        def flatten_mapping(self, node: Any) -> Any:
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    where = f"{path}:{key.start_mark.line + 1}"
                    raise RecipeError("merges (<<) are not read", where=where, expected="each setting written out")
            return super().flatten_mapping(node)

    loader = YAML(typ="rt")
    loader.Constructor = WithoutMerges
    try:
        if NESTED.search(text):
            raise RecursionError
        return loader.load(text)
    except RecipeError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = str(error.problem or error.context)
        if isinstance(error, DuplicateKeyError):
            what = problem.partition(" with value")[0].replace("found duplicate key", "a second value for the key")
            raise RecipeError(what, where=where, expected="each key once", remedy="Delete one of the two.") from error
        if "'\\t'" in problem:
            raise RecipeError(
                "this is a tab", where=where, expected="spaces", remedy="Replace tabs by spaces."
            ) from error
        raise RecipeError(f"this is not YAML ({problem})", where=where) from error
    except YAMLError as error:
        raise RecipeError("this is not YAML (it holds a control character)", where=str(path)) from error
    except RecursionError as error:
        raise RecipeError("brackets or mappings are nested too deep", where=str(path), expected="a recipe") from error
    except Exception as error:  # ruamel's own stumbling over a tag before, or digits of, a value of another kind
        what = f"a value is not of the kind that its tag or its digits say ({str(error).partition(';')[0]})"
        raise RecipeError(what, where=str(path)) from error
