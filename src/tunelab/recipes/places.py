"""Names of files and folders in a recipe: they say where things are, and are no part of what a run is."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tunelab.files import sha256_text
from tunelab.recipes.recipe import Recipe, changed, settings_of

PLACES = (
    "model.base_model",
    "data.data_dir",
    "data.train_files",
    "data.eval_files",
    "data.cleaning.exclude_files",
    "data.tool_catalog",
    "data.chat_template",
    "data.cleaning.tokenizer",
    "training.output_dir",
    "evaluation.compare_file",
    "evaluation.adapter_path",
)
"""Settings that name files, folders or models. What these hold is hashed elsewhere: data, rendering, base."""


_DECISIVE = ("evaluation.adapter_path",)
"""Of these, those that say by being named what is done at all."""


def written_hash(text: str) -> str:
    """Return the SHA-256 of a canonical text without the settings in `PLACES`, in hexadecimal.

    The text may have been written before, when there were fewer settings.
    """
    keys: list[str] = []
    kept = []
    for line in text.splitlines(keepends=True):
        key = line.lstrip(" ")
        keys[(len(line) - len(key)) // 2 :] = [key.partition(":")[0]]
        if ".".join(keys) not in PLACES:
            kept.append(line)
    return sha256_text("".join(kept))


def differing(old: Recipe, new: Recipe, *, without: Collection[str] = PLACES) -> list[str]:
    """Return in words each setting that `new` has otherwise: ``training.seed is 3, and was 2``; places do not count."""
    before, now = settings_of(old), settings_of(new)
    keys = [key for key in before | now if key not in without and before.get(key) != now.get(key)]
    keys += [key for key in _DECISIVE if key not in keys and (before.get(key) is None) != (now.get(key) is None)]
    return [f"{key} is {json.dumps(now.get(key))}, and was {json.dumps(before.get(key))}" for key in keys]


def replaced(old: Recipe, new: Recipe) -> list[str]:
    """Return the same of the places: each that `new` has otherwise, although what `old` names was not moved."""
    before = settings_of(old)
    moved = [key for key in PLACES if _is_gone(before[key], before["data.data_dir"])]
    return differing(old, new, without=("training.output_dir", *moved))


def _is_gone(names: Any, data_dir: str) -> bool:
    """Tell whether none of the files is there any longer; names of models and of splits on the Hub cannot move."""
    listed = names if isinstance(names, list) else [names] if names and os.path.isabs(names) else []
    return bool(listed) and not any("[" in name or os.path.lexists(Path(data_dir, name)) for name in listed)


def portable(recipe: Recipe, *, folder: Path, workspace: Path) -> Recipe:
    """Return an anchored recipe with names relative to `folder` if both lie in `workspace`, which can then be moved.

    Names of what lies outside the workspace stay absolute.
    """
    if not folder.is_relative_to(workspace):
        return recipe
    settings = settings_of(recipe)
    near: dict[str, Any] = {
        name: _relative(settings[name], folder, workspace) for name in PLACES if isinstance(settings[name], str)
    }
    if near["data.data_dir"] != settings["data.data_dir"]:
        data_dir = Path(settings["data.data_dir"])
        for name in ("data.train_files", "data.eval_files", "data.cleaning.exclude_files"):
            near[name] = [_relative(file, data_dir, workspace) for file in settings[name]]
    return changed(recipe, near)


def _relative(name: str, folder: Path, workspace: Path) -> str:
    path = Path(name)
    inside = path.is_absolute() and path.is_relative_to(workspace)
    return os.path.relpath(path, folder) if inside else name
