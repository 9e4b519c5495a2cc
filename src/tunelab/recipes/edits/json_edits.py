"""Where a value of a JSON text is, and what could be written there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tunelab.recipes.edits.edit import Edit
from tunelab.recipes.json_text import JsonText

_GAP = re.compile(r'(?:\{|\s*,)(\s*)"(?:[^"\\]|\\.)*"(\s*:\s*)')
"""What is between two values of an object."""


def json_edits(document: JsonText, names: Sequence[str], value: Any) -> Iterator[Edit]:
    """Yield what replaces the value of a key, or adds the key to the innermost object that there is."""
    path = tuple(names)
    if path in document.spans:
        start, end = document.spans[path]
        yield Edit(start=start, end=end, text=_written(value))
        return
    depth = max(depth for depth in range(len(path)) if path[:depth] in document.spans)
    for name in reversed(names[depth + 1 :]):
        value = {name: value}
    home = document.at(path[:depth])
    if isinstance(home, dict):
        yield _added(document, path[:depth], list(home), names[depth], value)
    elif home is None:
        start, end = document.spans[path[:depth]]
        yield Edit(start=start, end=end, text=_written({names[depth]: value}))


def _added(document: JsonText, home: tuple[str, ...], others: list[str], name: str, value: Any) -> Edit:
    """Return what adds a key after the last one of an object, with the white space of that one."""
    start, _ = document.spans[home]
    if not others:
        return Edit(start=start + 1, end=start + 1, text=f"{json.dumps(name)}: {_written(value)}")
    last, last_end = document.spans[(*home, others[-1])]
    before = document.spans[(*home, others[-2])][1] if len(others) > 1 else start
    gap = _GAP.fullmatch(document.text[before:last])
    assert gap is not None  # JSON that was read
    return Edit(start=last_end, end=last_end, text=f",{gap[1] or ' '}{json.dumps(name)}{gap[2]}{_written(value)}")


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
