"""Tool calls in the text of an answer, in whatever wrapping a model family writes them.

Whether calls can be read for a family is proven on references: those that are known to call must give the same calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tunelab.evaluation.figures.json_figures import equal_leaves, leaves
from tunelab.evaluation.rows.row import ExpectedCall

_ARGUMENTS = ("arguments", "parameters", "args", "input")
_MISSING = object()
_DECODER = json.JSONDecoder()


def calls_in(text: str) -> tuple[ExpectedCall, ...]:
    """Return the calls that an answer makes: JSON objects with a name and arguments, alone, listed or wrapped."""
    return tuple(_calls_of(list(_values_in(text))))


def same_calls(first: Sequence[ExpectedCall], second: Sequence[ExpectedCall]) -> bool:
    """Return whether two answers make the same calls, in any order of arguments."""
    return len(first) == len(second) and all(
        own.name == other.name and argument_hits(own, other) == (len(dict(leaves(other.arguments))),) * 2
        for own, other in zip(first, second, strict=True)
    )


def argument_hits(call: ExpectedCall | None, expected: ExpectedCall) -> tuple[int, int]:
    """Return how many arguments of the expected call are right, and how many there are in either of the two."""
    wanted = dict(leaves(expected.arguments)) if expected.arguments else {}
    own = dict(leaves(call.arguments)) if call is not None and call.arguments else {}
    right = sum(equal_leaves(own.get(path, _MISSING), value) for path, value in wanted.items())
    return right, len(wanted.keys() | own.keys())


def _values_in(text: str) -> Iterator[object]:
    """Yield the JSON objects and lists in a text, from left to right, none inside another."""
    place = 0
    while place < len(text):
        if text[place] in "{[":
            try:
                value, place = _DECODER.raw_decode(text, place)
            except (ValueError, RecursionError):
                place += 1
                continue
            yield value
        else:
            place += 1


def _calls_of(values: Sequence[object]) -> Iterator[ExpectedCall]:
    for value in values:
        if isinstance(value, list):
            yield from _calls_of(value)
        elif isinstance(value, Mapping):
            function = value.get("function")
            yield from _call(function if isinstance(function, Mapping) else value)


def _call(value: Mapping[str, object]) -> Iterator[ExpectedCall]:
    name = value.get("name")
    given = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if isinstance(name, str) and isinstance(given, Mapping):
        yield ExpectedCall(name=name, arguments=given)
