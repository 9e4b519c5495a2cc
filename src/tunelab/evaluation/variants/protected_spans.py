"""Places of a text that no change may touch: numbers, ids, code, addresses, JSON, labels, names of tools."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

Span = tuple[int, int]
"""Index of the first character, and index after the last."""

_MOST_BRACKETS = 200
"""After so many brackets that open no JSON, none is tried any more."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|<[/!]?[A-Za-z][^<>\n]{0,500}>", re.DOTALL)
_LINE = re.compile(r"[^\n]+")
_IS_CODE = re.compile(
    r"[;{}]\s*$|\s[-+*/!<>=]?=\s|\w\([^()]{0,200}\)\s*:?$"
    r"|^\s*(?:def|class|import|return|for|while|if|elif|else|SELECT|INSERT|UPDATE)\b.{0,200}[:(]\s*$"
)
_LONGEST_LINE_OF_CODE = 500
_ACRONYM = re.compile(r"\b[A-ZÀ-ÖØ-Þ]{2,6}\b")
_CHUNK = re.compile(r"\S+")
_IS_NO_PROSE = re.compile(
    r"[\d_@#/\\=<>{}\[\]|$~^*+]"  # a number, an id, an address, a path, a formula, a placeholder
    r"|[^\W\d_]\.[^\W\d_]"  # a file, a host, a member: report.pdf
    r"|[a-z][A-Z]"  # camelCase
)


def protected_spans(text: str, *, words: Iterable[str] = ()) -> list[Span]:
    """Return the protected places of a text in order; they do not overlap.

    Args:
        text: a message.
        words: labels and names of tools, protected wherever they occur as whole words, whatever their case.
    """
    found = [*_matches(_CODE, text), *_json(text)]
    found += [chunk.span() for chunk in _CHUNK.finditer(text) if _IS_NO_PROSE.search(chunk[0])]
    found += [line.span() for line in _LINE.finditer(text) if _is_code(line[0])]
    if not _is_shouted(text):
        found += _matches(_ACRONYM, text)
    known = sorted({word.strip() for word in words if word.strip()}, key=len, reverse=True)
    if known:
        pattern = "|".join(map(re.escape, known))
        found += _matches(re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE), text)
    return _merged(found)


def change_between(text: str, spans: Iterable[Span], change: Callable[[str], str]) -> str:
    """Return a text with `change` applied to each piece between protected places."""
    pieces, position = [], 0
    for start, end in spans:
        pieces += [change(text[position:start]), text[start:end]]
        position = end
    return "".join([*pieces, change(text[position:])])


def is_free(start: int, end: int, spans: Sequence[Span]) -> bool:
    """Return whether a place shares no character with the places `spans`, which are in order."""
    num_before = bisect_left(spans, (end, 0))
    return not num_before or spans[num_before - 1][1] <= start


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))


def _json(text: str) -> Iterator[Span]:
    decoder, position, failures = json.JSONDecoder(), 0, 0
    while failures < _MOST_BRACKETS and (bracket := _BRACKET.search(text, position)):
        position = bracket.end()
        try:
            _, end = decoder.raw_decode(text, bracket.start())
        except (ValueError, RecursionError):
            failures += 1
            continue
        yield bracket.start(), end
        position = end


_BRACKET = re.compile(r"[\[{]")


def _is_code(line: str) -> bool:
    return len(line) <= _LONGEST_LINE_OF_CODE and _IS_CODE.search(line) is not None


def _is_shouted(text: str) -> bool:
    """Return whether capitals are no sign of an acronym, since most letters are."""
    letters = [char for char in text if char.isalpha()]
    return sum(char.isupper() for char in letters) * 2 > len(letters)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
