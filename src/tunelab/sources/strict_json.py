"""JSON read strictly: no NaN, no field named twice, no half characters, and each fault has its line and column."""

import json
import math
import re

from tunelab.errors import DataError
from tunelab.sources.row import Origin

MAX_DEPTH = 100
"""Brackets inside brackets. Whoever walks through a value later calls itself for each, and Python allows a thousand."""
_EXPECTED = {
    "Expecting ',' delimiter": "a comma, or the bracket that closes",
    "Expecting ':' delimiter": "a colon between name and value",
    "Expecting property name enclosed in double quotes": "a name in double quotes",
    "Illegal trailing comma before end of object": "another field after the comma, or no comma",
    "Illegal trailing comma before end of array": "another value after the comma, or no comma",
    "Expecting value": 'a value ("text", number, true, false, null, [ or {)',
    "Extra data": "nothing after the value (one object per line)",
    "Unterminated string starting at": "a closing double quote",
    "Invalid control character at": "a closing quote on this line, or the line break or tab as \\n or \\t",
    "Invalid \\escape": 'one of \\n \\t \\" \\\\ \\/ \\b \\f \\r \\uXXXX after a backslash',
    "Invalid \\uXXXX escape": "four hexadecimal digits after \\u",
}
_PERHAPS_HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str, origin: Origin, *, subject: str = "", column: int = 1) -> object:
    """Return the value that `text` holds, key order kept.

    Args:
        origin: where the text is; a fault on a later line of the text counts on from it.
        subject: for JSON inside a field, the field's name; positions are then characters of that text.
        column: the 1-based column of the first character.

    Raises:
        DataError: the text is not strict JSON.
    """
    try:
        value = _DECODER.decode(text)
        if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
            raise RecursionError
        if _PERHAPS_HALF_A_PAIR.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        line = origin.line if subject else origin.line + error.lineno - 1
        at = f"character {error.pos + 1}" if subject else f"column {error.colno + (column - 1) * (error.lineno == 1)}"
        remedy = ""
        if text[error.pos : error.pos + 1] == "'":
            remedy = "This is a Python literal, not JSON: write it with json.dumps."
        expected = _EXPECTED.get(error.msg.removesuffix(" at"), _EXPECTED.get(error.msg, "valid JSON"))
        place = Origin(path=origin.path, line=line)
        raise _fault(place, subject, f"broken JSON at {at}", expected, remedy) from None
    except UnicodeEncodeError:
        raise _fault(
            origin, subject, "a \\uD8xx escape has no second half", "both halves of a surrogate pair"
        ) from None
    except RecursionError:
        expected = f"at most {MAX_DEPTH} brackets inside brackets"
        raise _fault(origin, subject, "the JSON is nested too deep", expected) from None
    except _NotStrictError as error:
        raise _fault(origin, subject, str(error), "strict JSON") from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise _fault(origin, subject, "a number has thousands of digits", "a shorter one, or text") from None
    return value


def kind_of(value: object) -> str:
    """Return the plain name of a JSON value's type, with its article: ``a list``, ``null``."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


class _NotStrictError(ValueError):
    pass


def _fault(origin: Origin, subject: str, what: str, expected: str, remedy: str = "") -> DataError:
    what = f"{subject}: {what}" if subject else what
    return DataError(what, where=str(origin), expected=expected, remedy=remedy)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _NotStrictError(f'the field "{twice}" occurs twice in one object')
    return fields


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _NotStrictError("a number is too large for a 64-bit float")
    return number


def _no_constant(name: str) -> object:
    raise _NotStrictError(f"{name} is no JSON value (write null, or leave the field out)")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant)
