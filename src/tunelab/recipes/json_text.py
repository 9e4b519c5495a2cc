"""JSON with the place of each value in the text: what a message names by its line, and what a splice replaces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunelab.errors import DataError, RecipeError
from tunelab.sources.row import Origin
from tunelab.sources.strict_json import parse_json

JsonPath = tuple[str | int, ...]
"""Names and numbers that lead to a value, from the outside."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonText:
    """A JSON text that was read."""

    name: str
    """Its file, for messages."""
    text: str
    value: Any
    spans: dict[JsonPath, tuple[int, int]]
    """Where each value begins and ends, in characters."""

    def at(self, path: JsonPath) -> Any:
        """Return a value; None if there is none."""
        value = self.value
        for step in path:
            value = value[step] if isinstance(step, int) else value.get(step)
        return value

    def line(self, path: JsonPath) -> int:
        """Return the line that a value begins on, from 1; that of what it would be in if there is none."""
        while path not in self.spans:
            path = path[:-1]
        return self.text.count("\n", 0, self.spans[path][0]) + 1

    def where(self, path: JsonPath) -> str:
        """Return ``file.json:7`` for a value."""
        return f"{self.name}:{self.line(path)}"


def read_json(text: str, name: str) -> JsonText:
    """Return a JSON text with its values and their places.

    Raises:
        RecipeError: it is not strict JSON; `name` and the line are in the message.
    """
    try:
        value = parse_json(text, Origin(path=name, line=1))
    except DataError as error:
        raise RecipeError(error.what, where=error.where, expected=error.expected, remedy=error.remedy) from None
    tokens = _TOKEN.finditer(text)
    return JsonText(name=name, text=text, value=value, spans=dict(_spans((), next(tokens), tokens)))


def _spans(
    path: JsonPath, opening: re.Match[str], tokens: Iterator[re.Match[str]]
) -> Iterator[tuple[JsonPath, tuple[int, int]]]:
    """Yield the places of a value that begins with the token `opening`, and of all values in it."""
    last, count = opening, 0
    if opening[0] in ("{", "["):
        while (last := next(tokens))[0] not in ("}", "]"):
            if last[0] == ",":
                last = next(tokens)
            name: str | int = count
            if opening[0] == "{":
                name, _, last = json.loads(last[0]), next(tokens), next(tokens)
            yield from _spans((*path, name), last, tokens)
            count += 1
    yield path, (opening.start(), last.end())
