"""Where a value of a YAML text is, and what could be written there: the change that keeps most comes first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tunelab.recipes.edits.edit import Edit, line_end, next_line
from tunelab.recipes.edits.yaml_values import Node, in_style_of, one_line

_PROPERTIES = re.compile(r"(?:[!&]\S*\s+)*")
"""Tag and anchor, which come before a value."""
_ALIAS = re.compile(r"\s*:\s+(\*[^\s,\[\]{}]+)")
_COLON = re.compile(r"\s*:")
_USUAL_INDENT = 2


def yaml_edits(text: str, names: Sequence[str], value: Any) -> Iterator[Edit]:
    """Yield what replaces the value of a key, or adds the key to the innermost mapping that there is."""
    from ruamel.yaml import YAML

    root = home = YAML(typ="rt").compose(text)
    for depth, name in enumerate(names):
        pair = next((each for each in _pairs(home) if each[0].value == name), None)
        if pair is None:
            yield from _added(text, root, home, names[depth:], value)
            return
        key, node = pair
        if depth + 1 == len(names) or not _is_mapping(node):  # found, or a section without settings
            yield from _replaced(text, key, node, _nested(names[depth + 1 :], value))
            return
        home = node


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    return list(node.value) if _is_mapping(node) else []


def _is_mapping(node: Node) -> bool:
    from ruamel.yaml.nodes import MappingNode

    return isinstance(node, MappingNode)


def _nested(names: Sequence[str], value: Any) -> Any:
    for name in reversed(names):
        value = {name: value}
    return value


def _replaced(text: str, key: Node, node: Node, value: Any) -> Iterator[Edit]:
    """Yield edits of a value: what follows its tag and anchor, then all of it, then all that follows the colon."""
    colon = _COLON.match(text, key.end_mark.index)
    if colon is None:  # a key alone, as in {a, b}
        return
    if node.start_mark.index < key.start_mark.index:  # an alias, whose node is where its anchor is
        if alias := _ALIAS.match(text, key.end_mark.index):
            yield Edit(start=alias.start(1), end=alias.end(1), text=one_line(value))
        return
    end = max(_end(text, node), colon.end())
    edits = [Edit(start=colon.end(), end=end, text=f" {one_line(value)}")]
    if not _is_empty(node):
        start = node.start_mark.index
        inner = _PROPERTIES.match(text, start, end)
        kept = inner.end() if inner else start
        whole = Edit(start=start, end=end, text=one_line(value))
        edits = [Edit(start=kept, end=end, text=in_style_of(node, value, text)), whole, *edits]
    yield from (edit for edit in edits if not _has_comment(text, edit, node))


def _end(text: str, node: Node) -> int:
    """Return where a value ends, without white space and comments after it; 0 if there is none."""
    if _is_empty(node):
        return 0
    if isinstance(node.value, list) and not node.flow_style:
        return max(_end(text, each) for each in _inner(node))
    return int(node.start_mark.index) + len(text[node.start_mark.index : node.end_mark.index].rstrip())


def _is_empty(node: Node) -> bool:
    return bool(node.start_mark.index == node.end_mark.index)


def _inner(node: Node) -> list[Node]:
    """Return what is in a list or a mapping, keys and values; nothing for a scalar."""
    items = node.value if isinstance(node.value, list) else []
    return [each for item in items for each in (item if isinstance(item, tuple) else (item,))]


def _has_comment(text: str, edit: Edit, node: Node) -> bool:
    """Return whether a comment would go with what an edit replaces."""
    removed, scalars = list(text[edit.start : edit.end]), [node]
    while scalars:
        each = scalars.pop()
        scalars += _inner(each)
        if isinstance(each.value, str):
            start, end = (max(0, mark.index - edit.start) for mark in (each.start_mark, each.end_mark))
            removed[start:end] = " " * len(removed[start:end])
    return "#" in removed


def _added(text: str, root: Node, home: Node, names: Sequence[str], value: Any) -> Iterator[Edit]:
    """Yield edits that add a key to a mapping: at the end of the file, or after the last of its keys."""
    if home is not None and home.flow_style:
        yield _added_in_braces(text, home, names[0], _nested(names[1:], value))
        return
    pairs, step = _pairs(home), _indent(root)
    column = pairs[0][0].start_mark.column if pairs else 0
    lines = [f"{' ' * (column + step * depth)}{one_line(name, '')}:" for depth, name in enumerate(names)]
    block, end = line_end(text).join(lines) + f" {one_line(value)}", line_end(text)
    last = next_line(text, max(_end(text, each) for each in _inner(home))) if home is not None and pairs else len(text)
    for place in [len(text), last] if home is root else [last]:
        is_line = place == 0 or text[place - 1] in "\r\n"
        yield Edit(start=place, end=place, text=block + end if is_line else end + block)


def _added_in_braces(text: str, home: Node, name: str, value: Any) -> Edit:
    """Return what adds a key after the last one in braces, with the white space in front of that one."""
    pairs = _pairs(home)
    if not pairs:
        place = text.index("{", home.start_mark.index) + 1
        return Edit(start=place, end=place, text=f"{one_line(name, '')}: {one_line(value)}")
    key, last = pairs[-1]
    before = text[: key.start_mark.index]
    space = before[len(before.rstrip()) :] or " "
    place = max(key.end_mark.index, _end(text, last))
    return Edit(start=place, end=place, text=f",{space}{one_line(name, key.style or '')}: {one_line(value)}")


def _indent(root: Node) -> int:
    """Return by how much the first section of a file is indented."""
    sections = (node for _, node in _pairs(root) if _is_mapping(node) and not node.flow_style)
    columns = (node.start_mark.column for node in sections)
    return next((column for column in columns if column), _USUAL_INDENT)
