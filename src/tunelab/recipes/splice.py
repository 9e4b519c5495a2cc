"""One value of a YAML or JSON text replaced, and no other byte of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError
from tunelab.recipes.edits.edit import Edit
from tunelab.recipes.edits.json_edits import json_edits
from tunelab.recipes.edits.yaml_edits import yaml_edits
from tunelab.recipes.json_text import read_json
from tunelab.recipes.yaml_file import parse

_MARK = "\ufeff"
_JSON = (".json", ".config")
_HALF = re.compile("[\ud800-\udfff]")


def splice(text: str, key: str, value: Any, *, path: Path) -> str:
    """Return `text` with another value of one key: its tag, quotes, comments, order and line ends are as they were.

    A key that is not there is added after the last one, as the file writes its own. The result is read back, and holds
    exactly this change.

    Args:
        text: what a YAML or JSON file holds, line ends as they are in the file (read it with ``newline=""``).
        key: a key of the file, dotted for one in a mapping.
        value: text, a number, true, false, None, or a list or mapping of these.
        path: the file, whose suffix says JSON or YAML; for messages.

    Raises:
        RecipeError: the file cannot be read, or the value cannot be changed alone: an anchor that other values use,
            comments in a list.
    """
    names = key.split(".")
    mark = _MARK if text.startswith(_MARK) else ""
    body = text.removeprefix(mark)
    _refuse_impossible(key, value)
    expected = _with(_plain(_read(body, path)), names, value, path)
    for edit in _edits(body, names, value, path):
        result = edit.of(body)
        if _holds(result, expected, path):
            return mark + result
    what = f"{key} cannot be changed without changing something else"
    raise RecipeError(what, where=str(path), remedy="Edit the file by hand.")


def _refuse_impossible(key: str, value: Any) -> None:
    each = [value]
    while each:
        one = each.pop()
        each += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if isinstance(one, float) and not math.isfinite(one):
            raise RecipeError(f"{key} is {one}", expected="a finite number")
        if isinstance(one, str) and _HALF.search(one):
            raise RecipeError(f"{key} holds half a character", expected="whole ones (no lone surrogate)")


def _read(body: str, path: Path) -> Any:
    return read_json(body, str(path)).value if path.suffix in _JSON else parse(path, body)


def _edits(body: str, names: Sequence[str], value: Any, path: Path) -> Iterator[Edit]:
    if path.suffix in _JSON:
        return json_edits(read_json(body, str(path)), names, value)
    return yaml_edits(body, names, value)


def _holds(result: str, expected: Any, path: Path) -> bool:
    try:
        return bool(_plain(_read(result, path)) == expected)
    except RecipeError:
        return False


def _with(content: Any, names: Sequence[str], value: Any, path: Path) -> Any:
    """Return what a file holds with another value of one key, as `_plain` has it."""
    if not names:
        return _plain(value)
    if content in (None, _plain(None)):  # an empty file or section
        content = {}
    if not isinstance(content, dict):
        raise RecipeError(f"there is no mapping to hold {names[0]}", where=str(path), expected="keys and values")
    return content | {names[0]: _with(content.get(names[0]), names[1:], value, path)}


def _plain(value: Any) -> Any:
    """Return a value in types whose equality tells true from 1 and a tagged value from its text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return next(kind(value) for kind in (str, int, float) if isinstance(value, kind))
    return (type(value).__name__, str(getattr(value, "tag", "")), str(getattr(value, "value", value)))
