"""How separated text is laid out: what its quotes and line ends say, before anybody parses it.

Letters in names of arrays: B bytes, M marks, R records.
"""

import codecs
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_QUOTE, _BREAK, _RETURN = b'"\n\r'
_AT_ONCE = 1 << 17
"""Bytes: few enough that what is made of them stays in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The quotes and line feeds of a text."""

    places_M: NDArray[np.int64]
    bytes_M: NDArray[np.uint8]
    is_inside_M: NDArray[np.bool_]
    """Whether quotes hold what follows; of quotes, those that open."""

    @property
    def is_closed(self) -> bool:
        """Whether no quotes hold the end."""
        return not self.is_inside_M[-1:].any()

    def end_of_records(self) -> int:
        """Return where the last whole record ends: after a line feed that no quotes hold."""
        ends_M = np.flatnonzero((self.bytes_M == _BREAK) & ~self.is_inside_M)
        return int(self.places_M[ends_M[-1]]) + 1 if len(ends_M) else 0

    def before(self, end: int) -> "Marks":
        """Return those before a place."""
        num = int(np.searchsorted(self.places_M, end))
        return Marks(places_M=self.places_M[:num], bytes_M=self.bytes_M[:num], is_inside_M=self.is_inside_M[:num])


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Texts quoted whole or not at all: if each record holds as many, no two parsers differ on them."""

    breaks_before_R: NDArray[np.int64]
    """How many line feeds come before each record; those inside quotes count."""
    has_returns_inside: bool
    """Whether quotes hold a carriage return before a line feed."""
    num_breaks: int
    """Line feeds in all."""
    num_bytes: int
    """Of all texts, without the quotes around them and with doubled ones once, and of the separators between them."""


def find_marks(text: bytes) -> Marks:
    """Return the marks of a text, in order."""
    has_quotes = b'"' in text
    text_B = np.frombuffer(text, dtype=np.uint8)
    is_mark_B, is_quote_B = np.empty(_AT_ONCE, dtype=np.bool_), np.empty(_AT_ONCE, dtype=np.bool_)
    places, found = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint8)]
    for start in range(0, len(text), _AT_ONCE):
        some_B = text_B[start : start + _AT_ONCE]
        num = len(some_B)
        np.equal(some_B, _BREAK, out=is_mark_B[:num])
        if has_quotes:
            np.equal(some_B, _QUOTE, out=is_quote_B[:num])
            np.logical_or(is_mark_B[:num], is_quote_B[:num], out=is_mark_B[:num])
        places_M = np.flatnonzero(is_mark_B[:num])
        found.append(some_B[places_M])
        places.append(places_M + start)
    bytes_M = np.concatenate(found)
    quotes_M = np.cumsum(bytes_M == _QUOTE, dtype=np.uint8)  # whose lowest bit is all that matters
    return Marks(places_M=np.concatenate(places), bytes_M=bytes_M, is_inside_M=(quotes_M & 1).astype(np.bool_))


def lay_out(text: bytes, marks: Marks, separator: str) -> Layout | None:
    """Return how a text of whole records is laid out; None if parsers might differ."""
    if not text or not marks.is_closed:
        return None
    text_B = np.frombuffer(text, dtype=np.uint8)
    is_break_M = marks.bytes_M == _BREAK
    if _has_marked_line(text, text_B, marks.places_M[is_break_M]):
        return None
    quotes = _num_quoted(text_B, marks, ~is_break_M, ord(separator))
    if quotes is None:
        return None
    is_end_K = ~marks.is_inside_M[is_break_M]  # K: line feeds
    is_after_return_K = text_B[np.maximum(marks.places_M[is_break_M] - 1, 0)] == _RETURN
    num_returns = int(np.count_nonzero(is_after_return_K & is_end_K))
    ends_K = np.flatnonzero(is_end_K)
    if num_returns not in (0, len(ends_K)) or _num_returns(text, text_B) != np.count_nonzero(is_after_return_K):
        return None  # `sources` counts a carriage return without a line feed as the end of a line
    begins_R = np.concatenate([[0], ends_K + 1])
    return Layout(
        breaks_before_R=begins_R[:-1] if text.endswith(b"\n") else begins_R,
        has_returns_inside=bool((is_after_return_K & ~is_end_K).any()),
        num_breaks=len(is_end_K),
        num_bytes=len(text) - len(ends_K) - num_returns - quotes,
    )


def _has_marked_line(text: bytes, text_B: NDArray[np.uint8], breaks_K: NDArray[np.int64]) -> bool:
    """Tell whether a byte-order mark begins a line, as where files were joined."""
    begins_K = breaks_K[breaks_K < len(text) - 1] + 1
    return any(text.startswith(codecs.BOM_UTF8, begin) for begin in begins_K[text_B[begins_K] == codecs.BOM_UTF8[0]])


def _num_returns(text: bytes, text_B: NDArray[np.uint8]) -> int:
    if b"\r" not in text:
        return 0
    pieces = (text_B[start : start + _AT_ONCE] for start in range(0, len(text_B), _AT_ONCE))
    return sum(int(np.count_nonzero(some_B == _RETURN)) for some_B in pieces)


def _num_quoted(text_B: NDArray[np.uint8], marks: Marks, is_quote_M: NDArray[np.bool_], separator: int) -> int | None:
    """Return how many quotes are no text: two around each quoted text, one of two inside; None if one is amiss.

    Q: quotes.
    """
    places_Q, opens_Q = marks.places_M[is_quote_M], marks.is_inside_M[is_quote_M]
    if not len(places_Q):
        return 0
    before_Q = text_B[np.maximum(places_Q - 1, 0)]
    after_Q = text_B[np.minimum(places_Q + 1, len(text_B) - 1)]
    follows_Q = (before_Q == separator) | (before_Q == _BREAK) | (before_Q == _QUOTE) | (places_Q == 0)
    is_before_Q = (after_Q == separator) | (after_Q == _BREAK) | (after_Q == _RETURN) | (after_Q == _QUOTE)
    is_before_Q[-1] |= places_Q[-1] == len(text_B) - 1
    if not np.where(opens_Q, follows_Q, is_before_Q).all():
        return None
    num_doubled = int(np.count_nonzero(~opens_Q[:-1] & (places_Q[1:] - places_Q[:-1] == 1)))
    return len(places_Q) - num_doubled
