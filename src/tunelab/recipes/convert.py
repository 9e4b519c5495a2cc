"""A recipe of any form as a short recipe of ours: what it says, and nothing that is the default anyway."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tunelab.errors import RecipeError
from tunelab.files import write_file
from tunelab.recipes.explain import Explanation, defaults_of, explain
from tunelab.recipes.places import PLACES
from tunelab.recipes.recipe import settings_of, written
from tunelab.recipes.resolve import ResolvedRecipe

_WIDTH = 110
_THEIR_KEY = re.compile(r"\(([^()]+)\)$")


def convert(resolved: ResolvedRecipe, *, folder: Path, title: str | None = None) -> str:
    """Return the text of a recipe with equal values, for `folder`; comments say where each came from.

    Args:
        resolved: the recipe.
        folder: where the text is to be a file.
        title: its first comment; None says what the recipe was read from.

    Raises:
        RecipeError: the recipe names no data, and its names are to be read from another folder.
    """
    rows = list(_said(resolved, folder))
    title = title or f"{resolved.file.name if resolved.file else 'LLM_* variables'}, read as {resolved.dialect}."
    comments = [line for note in (title, *resolved.notes) for line in _comment(note)]
    method = resolved.recipe.adapter.section
    bare = [] if any(row.key.startswith(f"{method}.") for row in rows) else [f"{method}:"]
    return "\n".join([*comments, *_lines(rows), *bare]) + "\n"


def write_new(file: Path, text: str) -> None:
    """Write a recipe, and never over a file that is there.

    Raises:
        RecipeError: there is such a file, or no such folder.
        StorageError: it cannot be written.
    """
    if os.path.lexists(file):
        raise RecipeError("there is a file of this name", where=str(file), remedy="Choose another name with -o.")
    if not os.path.isdir(file.parent):
        raise RecipeError("there is no such folder", where=str(file.parent), remedy="Choose another place with -o.")
    write_file(file, text)


def _said(resolved: ResolvedRecipe, folder: Path) -> Iterator[Explanation]:
    """Yield what the recipe names, and what its tool does otherwise than we do."""
    defaults, moved = defaults_of(resolved.recipe), _moved(resolved, folder)
    for row in explain(resolved):
        is_ours = row.source == "default" or row.source.endswith(" by default")
        is_theirs = row.source.endswith("default") and not is_ours
        if row.key in moved:
            yield replace(row, value=moved[row.key])
        elif not is_ours and not (is_theirs and row.value == defaults[row.key]):
            yield row


def _moved(resolved: ResolvedRecipe, folder: Path) -> dict[str, str]:
    """Return the names of files that would mean something else in another folder, as they are written there."""
    if folder.resolve() == resolved.base.resolve():
        return {}
    here, there = settings_of(resolved.recipe), settings_of(resolved.anchored)
    changed = [key for key in PLACES if there[key] != here[key]]  # lists of files start from data_dir, and stay
    return {key: os.path.relpath(there[key], folder.resolve()) for key in changed}


def _lines(rows: Iterable[Explanation]) -> Iterator[str]:
    opened: list[str] = []
    for row in rows:
        *homes, name = row.key.split(".")
        if homes != opened:
            inside = opened == homes[:-1] and bool(opened)  # a section in the one before
            yield from (f"{'  ' * depth}{homes[depth]}:" for depth in range(len(opened) if inside else 0, len(homes)))
            opened = homes
        yield f"{'  ' * len(homes)}{name}: {written(row.value)}{_origin(row.source)}"


def _origin(source: str) -> str:
    """Return a comment that says by which key of another form a value came; none for our own."""
    key = _THEIR_KEY.search(source)
    return f"  # {key[1]}" if key else "" if re.search(r":\d+$", source) else f"  # {source}"


def _comment(note: str) -> list[str]:
    plain = "".join(char if char.isprintable() else " " for char in note)
    return textwrap.wrap(plain, _WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
