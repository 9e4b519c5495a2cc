"""A value as YAML text, which readers of YAML 1.1 and 1.2 understand alike, in the style of another."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from tunelab.recipes.edits.edit import line_end
from tunelab.recipes.recipe import written

Node: TypeAlias = Any
"""A node of ruamel's, which declares too few of its attributes."""
_PLAIN = re.compile(r"[A-Za-z_/][\w./<>+-]*(?: [\w./<>+-]+)*")
_WORDS = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)
"""What a reader takes for something else than text."""
_DOUBLE, _SINGLE, _LITERAL = '"', "'", "|"


def in_style_of(node: Node, value: Any, text: str) -> str:
    """Return a value as the one of `node` is written: with its quotes, as a block or in brackets."""
    if isinstance(node.value, str):
        style: str = node.style or ("" if node.tag.endswith(":str") else _DOUBLE)
        is_block = style == _LITERAL and isinstance(value, str) and "\n" in value
        return _block(value, node, text) if is_block else one_line(value, style)
    items = [each for each in node.value if not isinstance(each, tuple)]
    style = str(items[0].style or "") if items and isinstance(items[0].value, str) else _DOUBLE
    if isinstance(value, list) and value and items and not node.flow_style:
        separator = line_end(text) + " " * int(node.start_mark.column)
        return separator.join(f"- {one_line(each, style)}" for each in value)
    return one_line(value, style)


def one_line(value: Any, style: str = _DOUBLE) -> str:
    """Return a value on one line; its texts with the quotes of `style`, plain for an empty one, where that is safe."""
    if isinstance(value, list):
        return f"[{', '.join(one_line(each, style) for each in value)}]"
    if isinstance(value, dict):
        pairs = (f"{_text(key, '')}: {one_line(each, style)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, str):
        return _text(value, style)
    if isinstance(value, float):
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))  # 1e-05 is text to a reader of YAML 1.1
    return written(value)


def _text(value: str, style: str) -> str:
    if not style and _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value):
        return value
    if style == _SINGLE and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return written(value)


def _block(value: str, node: Node, text: str) -> str:
    """Return a text of several lines as a literal block, as far indented as the one that was there."""
    old = text[node.start_mark.index : node.end_mark.index]
    found = re.search(r"[\r\n]( +)\S", old)
    indent, end = found[1] if found else " " * (node.start_mark.column + 2), line_end(text)
    lines = [f"{indent}{line}" if line else "" for line in value.removesuffix("\n").split("\n")]
    return end.join(["|" if value.endswith("\n") else "|-", *lines])
