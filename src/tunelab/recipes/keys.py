"""What each setting may hold, as types and in words."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from tunelab.recipes.recipe import FIELDS, SECTIONS
from tunelab.settings import kinds_of


def kinds(dotted: str) -> set[type]:
    """Return the Python types that a setting may hold: str, int, float, bool, tuple, dict, NoneType."""
    return kinds_of(FIELDS[dotted].annotation)


def is_text(dotted: str) -> bool:
    """Return whether a setting holds a text of any words, and no choice of some."""
    annotation = FIELDS[dotted].annotation
    choices = any(get_origin(each) is Literal for each in (annotation, *get_args(annotation)))
    return kinds(dotted) <= {str, type(None)} and not choices


def expected(dotted: str) -> str:
    """Return what a setting may hold, in words, its range included: ``a whole number of at least 1, or null``."""
    section, _, key = dotted.rpartition(".")
    schema = SECTIONS[section].model_json_schema()["properties"][key]
    return ", or ".join(_in_words(option) for option in schema.get("anyOf", [schema]))


def shown(value: object) -> str:
    """Return a value as a message shows it, in at most 60 characters."""
    text = f"{value:g}" if type(value) is float else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        *most, last = ("true" if value is True else str(value) for value in schema["enum"])
        return f"{', '.join(most)} or {last}"
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values.get("type") in ("integer", "number"):
        return f"a mapping to values, each {_in_words(values)}"
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "text",
        "array": "a list",
        "object": "a mapping",
        "null": "null",
    }
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    limits = [f"{word} {_plain(schema[bound])}" for bound, word in bounds.items() if bound in schema]
    return words[schema["type"]] + (" of " + " and ".join(limits) if limits else "")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
