"""Values of a row, read with their type checked and their path named."""

from collections.abc import Mapping

from tunelab.errors import DataError
from tunelab.sources import Origin, Row, kind_of, parse_json

Fields = Mapping[str, object]


def fields_of(row: Row) -> Fields:
    """Return the named fields of a row; plain text has none."""
    return row.value if isinstance(row.value, dict) else {}


def fault(origin: Origin, what: str, expected: str = "", remedy: str = "") -> DataError:
    """Return the error of a row."""
    return DataError(what, where=str(origin), expected=expected, remedy=remedy)


def text(value: object, path: str, origin: Origin) -> str:
    """Return a value that must be text."""
    if not isinstance(value, str):
        raise fault(origin, f"{path} is {kind_of(value)}", "text")
    return value


def optional_text(value: object, path: str, origin: Origin) -> str | None:
    """Return text, or None for null; a list of text parts counts as their text."""
    if isinstance(value, list):
        parts = ((f"{path}: part {number}", part) for number, part in enumerate(value, start=1))
        return "".join(text(fields(part, place, origin).get("text"), f"{place}: text", origin) for place, part in parts)
    return None if value is None else text(value, path, origin)


def fields(value: object, path: str, origin: Origin) -> Fields:
    """Return a value that must be an object, or the JSON text of one."""
    value = _unfolded(value, path, origin)
    if not isinstance(value, dict):
        raise fault(origin, f"{path} is {kind_of(value)}", "an object")
    return value


def items(value: object, path: str, origin: Origin) -> list[object]:
    """Return a value that must be a list, or the JSON text of one."""
    value = _unfolded(value, path, origin)
    if not isinstance(value, list):
        raise fault(origin, f"{path} is {kind_of(value)}", "a list")
    return value


def _unfolded(value: object, path: str, origin: Origin) -> object:
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    if value.lstrip("[ \n").startswith("{'"):
        remedy = "Write the file with json.dumps, or with pandas' to_json(orient='records', lines=True)."
        raise fault(origin, f"{path} is text as Python prints it, in single quotes", "JSON", remedy)
    return parse_json(value, origin, subject=path)
