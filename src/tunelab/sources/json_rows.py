"""Rows of JSON files: one object per line, or an array, or pretty-printed objects one after the other."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import DataError
from tunelab.sources.row import Origin, Row
from tunelab.sources.strict_json import kind_of, parse_json
from tunelab.sources.text_stream import (
    BYTE_ORDER_MARK,
    MAX_LINE_BYTES,
    OnBad,
    read_chunks,
    read_head,
    read_lines,
    too_long,
)

_ARRAY = re.compile(r"\s*\[")
_WRAPPED_ARRAY = re.compile(
    r'\s*\{\s*"(?:data|rows|examples|records|items|instances|samples|dataset|train|test)"\s*:\s*\[(?=\s*\{)'
)
_OUTSIDE_TEXT = re.compile(r'["\[\]{},]')
_INSIDE_TEXT = re.compile(r'["\\\n]')


def read_json(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a ``.json`` file; whether it holds lines or an array is found by its first characters."""
    if holds_json_lines(path, name):
        yield from read_json_lines(path, name, on_bad)
    else:
        array = _array(read_head(path, name))
        elements = _split(read_chunks(path, name), name, opening=array[0] if array else "")
        joined = ((text.removeprefix(BYTE_ORDER_MARK), line, column) for text, line, column in elements)
        yield from _rows(joined, name, on_bad)


def holds_json_lines(path: Path, name: str) -> bool:
    """Tell whether a JSON file holds an object per line, judged by its first characters."""
    head = read_head(path, name, by_line=True)
    return not (_array(head) or _is_pretty(head))


def read_json_lines(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the row of each line that is not blank."""
    if re.match(r"\s*\[\s*\n", read_head(path, name, by_line=True)):
        raise DataError(
            "the file holds one JSON array", where=name, expected="one object per line", remedy="Name it .json."
        )
    lines = ((text.rstrip("\r\n"), number, 1) for number, text in read_lines(path, name, on_bad) if text.strip())
    yield from _rows(lines, name, on_bad)


def _rows(placed: Iterable[tuple[str, int, int]], name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the row of each (text, line, column). Rows that open on one line count on from it: each has its number."""
    number = 0
    for text, line, column in placed:
        number = max(line, number + 1)
        origin = Origin(path=name, line=number)
        try:
            value = parse_json(text, Origin(path=name, line=line), column=column)
            if not isinstance(value, dict):
                expected = "an object {…} with named fields"
                raise DataError(f"the row is {kind_of(value)}", where=str(origin), expected=expected)
        except DataError as error:
            error.row_text = text
            on_bad(error)
        else:
            yield Row(value=value, origin=origin)


def _array(head: str) -> re.Match[str] | None:
    return _ARRAY.match(head) or _WRAPPED_ARRAY.match(head)


@dataclass(slots=True)
class _Place:
    """A moving 1-based position in the file."""

    line: int = 1
    column: int = 1

    def pass_over(self, text: str) -> None:
        breaks = text.count("\n")
        self.line += breaks
        self.column = len(text) - text.rindex("\n") if breaks else self.column + len(text)


def _is_pretty(head: str) -> bool:
    """Tell whether an object opens the file that does not close on its line."""
    first, newline, rest = head.lstrip().partition("\n")
    first = first.rstrip()
    if not newline or not first.startswith("{"):
        return False
    return first == "{" or (first[-1] in "[{," and not rest.lstrip().startswith("{"))


def _split(chunks: Iterable[str], name: str, opening: str) -> Iterator[tuple[str, int, int]]:
    """Cut a stream into (text, line, column) of its elements; only the one being read is held in memory.

    `opening` is what comes before the first element; empty for objects that follow each other without an array.

    Raises:
        DataError: the end is missing, or more follows it. Rows may be lost then, so this is no fault of one row.
    """
    in_array = bool(opening)
    start, at, depth = len(opening), len(opening), int(in_array)
    in_text = closed = after_comma = False
    held, held_chars = list[str](), 0  # what earlier chunks hold of the present element
    place = _Place()
    place.pass_over(opening)

    def cut(last: str) -> tuple[str, int, int]:
        body = "".join([*held, last])
        held.clear()
        lead = len(body) - len(body.lstrip())
        place.pass_over(body[:lead])
        element = (body.strip(), place.line, place.column)
        place.pass_over(body[lead:])
        return element

    for chunk in chunks:
        while not closed and (mark := (_INSIDE_TEXT if in_text else _OUTSIDE_TEXT).search(chunk, at)):
            sign, at = mark[0], mark.end()
            if in_text:
                in_text = sign == "\\"  # a line break inside text is a fault of this element, not of those after it
                at += in_text  # the escaped character, which may be the first of the next chunk
                continue
            in_text = sign == '"'
            depth += (sign in "[{") - (sign in "]}")
            ends_array = in_array and depth == 0
            if ends_array or (in_array and depth == 1 and sign == ","):
                element = cut(chunk[start : at - 1])
                if element[0] or after_comma or sign == ",":
                    yield element
                place.pass_over(sign)
                start, closed, after_comma = at, ends_array, True
            elif depth <= 0 and sign in "]}":
                depth = 0
                yield cut(chunk[start:at])
                start = at
        held_chars = (held_chars if held else 0) + len(chunk) - start
        if held_chars > MAX_LINE_BYTES:
            raise too_long(f"{name}:{place.line}", "element")
        held.append(chunk[start:])
        start, at = 0, max(at - len(chunk), 0)
    rest, line, column = cut("")
    if not closed and rest:
        parse_json(rest, Origin(path=name, line=line), column=column)
    if not closed and in_array:
        raise DataError(
            "the array is never closed", where=f"{name}:{place.line}", expected='"]" at the end of the file'
        )
    if closed and rest and not ("{" in opening and rest == "}"):
        remedy = "If arrays were joined, write them as one, or one object per line into a .jsonl file."
        raise DataError("text after the array", where=f"{name}:{line}", expected="the end of the file", remedy=remedy)
