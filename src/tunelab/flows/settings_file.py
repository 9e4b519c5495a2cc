"""A YAML file of settings, such as a suite: each fault by line and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipes.yaml_file import load

Config = TypeVar("Config", bound=BaseModel)


def read_settings(file: Path, config: type[Config], *, what: str) -> Config:
    """Return the settings in a YAML file.

    Args:
        file: an object of settings.
        config: their class.
        what: what such a file is called, e.g. ``suite``.

    Raises:
        RecipeError: it cannot be read, or a setting is unknown or impossible; it names the line.
    """
    if not file.exists():
        raise RecipeError(f"there is no such {what}", where=str(file), expected="a YAML file")
    content = load(file)
    if not isinstance(content, dict):
        raise RecipeError(f"this is no {what}", where=str(file), expected="keys and values")
    return settings_in(content, config, file=file, what=what)


def settings_in(content: Mapping[str, Any], config: type[Config], *, file: Path, what: str) -> Config:
    """Return the settings in what `recipes.yaml_file.load` made of a file, or of a part of it.

    Raises:
        RecipeError: as `read_settings`.
    """
    try:
        return config.model_validate(_plain(content))
    except ValidationError as error:
        raise _fault(error, content, config, file, what) from error


def _plain(value: Any) -> Any:
    """Return ruamel's types as those of Python."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def _fault(
    error: ValidationError, content: Mapping[str, Any], config: type[BaseModel], file: Path, what: str
) -> RecipeError:
    # a wrong name leaves another one missing, and is what is to be said
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = [part for part in first["loc"] if isinstance(part, int) or not part.startswith("function-")]
    key, where = ".".join(map(str, path)), f"{file}:{_line(content, path)}"
    if first["type"] == "extra_forbidden":
        section = _config_at(config, path[:-1])
        return RecipeError(f'a {what} has no key "{key}"', where=where, remedy=did_you_mean(str(path[-1]), section))
    if first["type"] == "missing":
        return RecipeError(f"{key} is missing", where=where)
    words = re.sub("^(Value error, |Input should be )", "", first["msg"])
    if first["type"] == "value_error":
        return RecipeError(f"{key}: {words}" if key else f"the {what} {words}", where=where)
    return RecipeError(
        f"{key} is {_shown(first['input'])}" if key else f"this is no {what}", where=where, expected=words
    )


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _line(content: Any, path: list[Any]) -> int:
    """Return the line, from 1, of the key or element at a path, or of the nearest that is written."""
    line = content.lc.line
    for part in path:
        try:
            line = (content.lc.item if isinstance(part, int) else content.lc.key)(part)[0]
            content = content[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return int(line) + 1


def _config_at(config: type[BaseModel], path: list[Any]) -> list[str]:
    """Return the names of the settings at a path."""
    for part in path:
        if isinstance(part, str) and part in config.model_fields:
            inner = _class_in(config.model_fields[part].annotation)
            if inner is not None:
                config = inner
    return list(config.model_fields)


def _class_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in getattr(annotation, "__args__", ()) if (found := _class_in(each))), None)
