"""A row's class: from a field, a key of JSON text, or a pattern."""

import json
import re

from tunelab.cleaning.config import CleaningConfig
from tunelab.errors import RecipeError

NO_CLASS = "(no class)"


class Labeller:
    """Reads the class of rows as settings say.

    Raises:
        RecipeError: `label_pattern` is no regular expression, or has no group.
    """

    def __init__(self, config: CleaningConfig) -> None:
        self._field, self._key = config.label_field, config.label_key
        self._pattern = None
        if config.label_pattern is not None:
            where, remedy = "label_pattern", 'Put the class in brackets, such as "Category: (\\w+)".'
            try:
                self._pattern = re.compile(config.label_pattern)
            except re.error as error:
                raise RecipeError(f"no regular expression ({error})", where=where, remedy=remedy) from None
            if not self._pattern.groups:
                raise RecipeError("the pattern has no group", where=where, expected="one", remedy=remedy)

    def label(self, value: object, answer: str) -> str:
        """Return the class of a row; `NO_CLASS` where it has none. Without `label_field`, `answer` is looked at."""
        found: object = answer if self._field is None else _at(value, self._field)
        if self._key is not None:
            found = _at(_parsed(found), self._key)
        if self._pattern is not None:
            match = self._pattern.search(_text(found))
            found = match[1] if match else None
        return NO_CLASS if found is None else _text(found).strip()


def _at(value: object, path: str) -> object:
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in path.split("."):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
