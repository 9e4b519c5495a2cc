"""The name of a recipe that a caller gives, as a file inside the workspace and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from tunelab.errors import RecipeError
from tunelab.workspace import Workspace

_SUFFIXES = (".yaml", ".yml", ".json")
_PART = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,254}")
"""No part is empty or begins with a dot: there are `..`, `.env` and the folder of the jobs."""


def recipe_in(workspace: Workspace, name: str) -> Path:
    """Return the file of a recipe.

    Names are compared by their parts, links followed first: a link that leads out of the workspace is none of its
    files. Other files than recipes are refused by their names, before anything is read: an error may quote a line.

    Raises:
        RecipeError: the name is none, or the file is not there or lies elsewhere.
    """
    where = "recipe"
    expected = "the name of a YAML or JSON file from the folder of the workspace on, such as lora/task.yaml"
    if not all(_PART.fullmatch(part) for part in name.split("/")) or not name.endswith(_SUFFIXES):
        raise RecipeError("this is no name of a recipe in the workspace", where=where, expected=expected)
    try:
        root = workspace.path.resolve(strict=True)
        file = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise RecipeError(f'there is no recipe "{name}" in the workspace', where=where, expected=expected) from error
    if not file.is_relative_to(root) or any(part.startswith(".") for part in file.relative_to(root).parts):
        raise RecipeError("this link leads to no recipe in the workspace", where=where, expected=expected)
    if file.suffix not in _SUFFIXES or not file.is_file():
        raise RecipeError("this is no file of a recipe", where=where, expected=expected)
    return file
