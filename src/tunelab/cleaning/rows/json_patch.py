"""JSON text with some of its values replaced; every other byte stays as it is."""

import json
import re
from collections.abc import Mapping

from tunelab.cleaning.rows.text_fields import Path

_PART = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]++')
_SCALAR = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9.eE+-]*+')


def spliced(record: str, new: Mapping[Path, str]) -> str:
    """Return `record` with new texts at some paths. A file that writes all characters as ASCII goes on doing so.

    Args:
        record: one JSON value, valid, no name twice in an object.
        new: path -> text; for an object or a list, the JSON of one whose texts and numbers have changed and
            nothing else.
    """
    pieces, end = [], 0
    for path, (start, stop) in sorted(_places(record, new).items(), key=lambda each: each[1]):
        old = record[start:stop]
        ascii_only = record.isascii()
        text = _merged(old, new[path], ascii_only) if old[0] in "{[" else json.dumps(new[path], ensure_ascii=ascii_only)
        pieces += [record[end:start], text]
        end = stop
    return "".join([*pieces, record[end:]])


def _places(record: str, paths: Mapping[Path, str]) -> dict[Path, tuple[int, int]]:
    """Return where the values at these paths begin and end."""
    found: dict[Path, tuple[int, int]] = {}
    lasts = {path[-1] for path in paths}  # compared first: a tuple for each value would cost more than all else
    path: list[str | int] = []
    opened: list[int] = []
    is_name = False
    for part in _PART.finditer(record):
        start, end = part.span()
        sign = record[start]
        if sign == ":":
            is_name = False
            continue
        if sign == ",":
            place = path[-1]
            is_name = isinstance(place, str)
            if isinstance(place, int):
                path[-1] = place + 1
            continue
        if sign == "{" or sign == "[":
            opened.append(start)
            path.append(0 if sign == "[" else "")
            is_name = sign == "{"
            continue
        if is_name and sign == '"':
            name = record[start + 1 : end - 1]
            path[-1] = json.loads(part[0]) if "\\" in name else name
            continue
        if sign == "}" or sign == "]":
            path.pop()
            start = opened.pop()
        if path and path[-1] in lasts and (here := tuple(path)) in paths:
            found[here] = (start, end)
            if len(found) == len(paths):
                break
    return found


def _merged(old: str, new: str, ascii_only: bool) -> str:
    """Return `old` with the names, texts and numbers that are others in `new`, which is of the same structure."""
    pieces, end = [], 0
    for was, now in zip(_SCALAR.finditer(old), _SCALAR.finditer(new), strict=True):
        before, after = json.loads(was[0]), json.loads(now[0])
        if before != after or isinstance(before, str) != isinstance(after, str):
            pieces += [old[end : was.start()], json.dumps(after, ensure_ascii=ascii_only)]
            end = was.end()
    return "".join([*pieces, old[end:]])
