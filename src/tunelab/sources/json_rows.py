"""Rows of JSON files: one object per line, or an array, or pretty-printed objects one behind the other."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import DataError
from tunelab.sources.opening import MAX_LINE_BYTES, OnBad, read_chunks, read_head, read_lines, too_long
from tunelab.sources.row import Origin, Row
from tunelab.sources.strict_json import kind_of, parse_json

_ARRAY = re.compile(r"\s*\[")
_WRAPPED_ARRAY = re.compile(
    r'\s*\{\s*"(?:data|rows|examples|records|items|instances|samples|dataset|train|test)"\s*:\s*\[(?=\s*\{)'
)
_PRETTY_OBJECT = re.compile(r"\s*\{[^\S\n]*\n|\s*\{[^\n]*[\[{,]\s*\n(?!\s*\{)")
_OUTSIDE_TEXT = re.compile(r'["\[\]{},]')
_INSIDE_TEXT = re.compile(r'["\\]')


def read_json(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a ``.json`` file; whether it holds lines or an array is found by its first characters."""
    head = read_head(path, name)
    for shape in (_ARRAY, _WRAPPED_ARRAY):
        if opening := shape.match(head):
            yield from _elements(path, name, on_bad, opening=opening[0])
            return
    if _PRETTY_OBJECT.match(head):
        yield from _elements(path, name, on_bad, opening="")
    else:
        yield from read_json_lines(path, name, on_bad)


def read_json_lines(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the row of each line that is not blank."""
    if re.match(r"\s*\[\s*\n", read_head(path, name)):
        raise DataError(
            "the file holds one JSON array", where=name, expected="one object per line", remedy="Name it .json."
        )
    for number, text in read_lines(path, name, on_bad):
        if text.strip():
            origin = Origin(path=name, line=number)
            try:
                row = _row(parse_json(text.rstrip("\r\n"), origin), origin)
            except DataError as error:
                on_bad(error)
            else:
                yield row


def _row(value: object, origin: Origin) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"the row is {kind_of(value)}", where=str(origin), expected="an object {…} with named fields")
    return Row(value=value, origin=origin)


def _elements(path: Path, name: str, on_bad: OnBad, *, opening: str) -> Iterator[Row]:
    for element in _split(read_chunks(path, name), name, opening):
        if isinstance(element, DataError):
            on_bad(element)
            continue
        origin = Origin(path=name, line=element.line)
        try:
            row = _row(parse_json(element.text, origin, column=element.column), origin)
        except DataError as error:
            on_bad(error)
        else:
            yield row


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    text: str
    line: int
    column: int


@dataclass(slots=True)
class _Place:
    """A moving 1-based position in the file."""

    line: int = 1
    column: int = 1

    def pass_over(self, text: str) -> None:
        breaks = text.count("\n")
        self.line += breaks
        self.column = len(text) - text.rindex("\n") if breaks else self.column + len(text)


def _split(chunks: Iterable[str], name: str, opening: str) -> Iterator[_Element | DataError]:
    """Cut a stream into the texts of its elements; only the one being read is held in memory.

    `opening` is what stands in front of the first element; empty for objects that follow each other without an array.
    """
    in_array = bool(opening)
    text, start, at, depth, in_text, closed = "", len(opening), len(opening), int(in_array), False, False
    place = _Place()
    place.pass_over(opening)

    def cut(end: int) -> _Element:
        body = text[start:end]
        lead = len(body) - len(body.lstrip())
        place.pass_over(body[:lead])
        element = _Element(text=body[lead:].rstrip(), line=place.line, column=place.column)
        place.pass_over(body[lead:])
        return element

    comma = False
    for chunk in chunks:
        text += chunk
        while not closed and (mark := (_INSIDE_TEXT if in_text else _OUTSIDE_TEXT).search(text, at)):
            sign, at = mark[0], mark.end()
            if in_text:
                in_text = sign == "\\"
                at += in_text  # the escaped character, which may be the first of the next chunk
            elif sign == '"':
                in_text = True
            elif sign in "[{":
                depth += 1
            elif sign in "]}":
                depth -= 1
                closed = in_array and depth == 0
                if closed:
                    last = cut(at - 1)
                    if last.text or comma:
                        yield last
                    place.pass_over(sign)
                    start = at
                elif depth <= 0:
                    depth = 0
                    yield cut(at)
                    start = at
            elif depth == 1 and in_array:
                comma = True
                yield cut(at - 1)
                place.pass_over(sign)
                start = at
        if len(text) - start > MAX_LINE_BYTES:
            raise too_long(f"{name}:{place.line}", "element")
        at = max(at, len(text)) - start if not closed else 0
        text, start = text[start:], 0
    rest = cut(len(text))
    if not closed:
        if rest.text:
            yield rest
        if in_array:
            yield DataError(
                "the array is never closed", where=f"{name}:{place.line}", expected='"]" at the end of the file'
            )
    elif rest.text and not ("{" in opening and rest.text == "}"):
        yield DataError("text behind the array", where=f"{name}:{rest.line}", expected="the end of the file")
