"""How separated text is laid out: what its quotes, separators and line ends say, before anybody parses it.

Letters in names of arrays: B bytes, M marks, R records.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_QUOTE, _BREAK, _RETURN = b'"\n\r'
_AT_ONCE = 1 << 17
"""Bytes: few enough that what is made of them stays in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The quotes, separators, line feeds and carriage returns of a text."""

    places_M: NDArray[np.int64]
    bytes_M: NDArray[np.uint8]
    is_inside_M: NDArray[np.bool_]
    """Whether quotes hold what stands behind; of quotes, those that open."""

    @property
    def is_closed(self) -> bool:
        """Whether no quotes hold the end."""
        return not self.is_inside_M[-1:].any()

    def end_of_records(self) -> int:
        """Return where the last whole record ends: behind a line feed that no quotes hold."""
        ends_M = np.flatnonzero((self.bytes_M == _BREAK) & ~self.is_inside_M)
        return int(self.places_M[ends_M[-1]]) + 1 if len(ends_M) else 0

    def before(self, end: int) -> "Marks":
        """Return those before a place."""
        num = int(np.searchsorted(self.places_M, end))
        return Marks(places_M=self.places_M[:num], bytes_M=self.bytes_M[:num], is_inside_M=self.is_inside_M[:num])


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Records of equally many texts, each quoted whole or not at all: no two parsers differ on them."""

    width: int
    """Texts in a record."""
    breaks_before_R: NDArray[np.int64]
    """How many line feeds stand before each record; those inside quotes count."""
    num_breaks: int
    """Line feeds in all."""
    num_text_bytes: int
    """Of all texts, without the quotes around them and with doubled ones once."""


def find_marks(text: bytes, separator: str) -> Marks:
    """Return the marks of a text, in order."""
    signs = (ord(separator), _BREAK, *(sign for sign in (_QUOTE, _RETURN) if sign in text))
    text_B = np.frombuffer(text, dtype=np.uint8)
    is_mark_B, is_sign_B = np.empty(_AT_ONCE, dtype=np.bool_), np.empty(_AT_ONCE, dtype=np.bool_)
    places, found = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint8)]
    for start in range(0, len(text), _AT_ONCE):
        some_B = text_B[start : start + _AT_ONCE]
        num = len(some_B)
        np.equal(some_B, signs[0], out=is_mark_B[:num])
        for sign in signs[1:]:
            np.equal(some_B, sign, out=is_sign_B[:num])
            np.logical_or(is_mark_B[:num], is_sign_B[:num], out=is_mark_B[:num])
        places_M = np.flatnonzero(is_mark_B[:num])
        found.append(some_B[places_M])
        places.append(places_M + start)
    bytes_M = np.concatenate(found)
    quotes_M = np.cumsum(bytes_M == _QUOTE, dtype=np.uint8)  # whose lowest bit is all that matters
    return Marks(places_M=np.concatenate(places), bytes_M=bytes_M, is_inside_M=(quotes_M & 1).astype(np.bool_))


def lay_out(text: bytes, marks: Marks) -> Layout | None:
    """Return how a text of whole records is laid out; None where parsers might differ."""
    is_quote_M, is_break_M, is_return_M = (marks.bytes_M == sign for sign in (_QUOTE, _BREAK, _RETURN))
    joins_M = np.diff(marks.places_M) == 1  # each mark but the last: whether the next one stands right behind it
    if not marks.is_closed or _has_lone_return(is_return_M, is_break_M, joins_M):
        return None
    quotes = _num_quoted(text, marks, is_quote_M, joins_M)
    if quotes is None:
        return None
    is_end_M = is_break_M & ~marks.is_inside_M
    num_returns = int(np.count_nonzero(is_return_M & ~marks.is_inside_M))
    separators_M = np.cumsum(~(is_quote_M | is_break_M | is_return_M | marks.is_inside_M), dtype=np.int32)
    breaks_M = np.cumsum(is_break_M, dtype=np.int64)
    has_end = text.endswith(b"\n")
    separators_R, breaks_R = (
        counts_M[is_end_M] if has_end else np.append(counts_M[is_end_M], counts_M[-1:])
        for counts_M in (separators_M, breaks_M)
    )
    widths_R = np.diff(separators_R, prepend=0) + 1
    num_ends = len(widths_R) - (not has_end)
    if num_returns not in (0, num_ends) or not len(widths_R) or (widths_R != widths_R[0]).any():
        return None
    num_separators = int(separators_R[-1])
    return Layout(
        width=int(widths_R[0]),
        breaks_before_R=np.concatenate([[0], breaks_R[:-1]]),
        num_breaks=int(breaks_M[-1]),
        num_text_bytes=len(text) - num_separators - num_ends - num_returns - quotes,
    )


def _has_lone_return(is_return_M: NDArray[np.bool_], is_break_M: NDArray[np.bool_], joins_M: NDArray[np.bool_]) -> bool:
    """Tell whether a carriage return stands without a line feed: `sources` counts it as the end of a line."""
    return bool((is_return_M[:-1] & ~(joins_M & is_break_M[1:])).any() or is_return_M[-1:].any())


def _num_quoted(text: bytes, marks: Marks, is_quote_M: NDArray[np.bool_], joins_M: NDArray[np.bool_]) -> int | None:
    """Return how many quotes are no text: two around each quoted text, one of two inside; None where one is amiss."""
    if not is_quote_M.any():
        return 0
    opens_M = is_quote_M & marks.is_inside_M
    closes_M = is_quote_M & ~marks.is_inside_M
    begins_M = np.concatenate([[marks.places_M[0] == 0], joins_M])
    ends_M = np.concatenate([joins_M, [marks.places_M[-1] == len(text) - 1]])
    if (opens_M & ~begins_M).any() or (closes_M & ~ends_M).any():
        return None
    num_doubled = int(np.count_nonzero(closes_M[:-1] & opens_M[1:] & joins_M))
    return int(np.count_nonzero(is_quote_M)) - num_doubled
