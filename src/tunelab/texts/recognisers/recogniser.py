"""What a recogniser is, and the places in a text that it finds."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A place in a text."""

    kind: str
    """What it is, in snake case, e.g. ``email``."""
    start: int
    """Index of its first character."""
    end: int
    """Index after its last character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """How one shape of one kind is found."""

    kind: str
    candidate: str
    """Pattern that both Rust and Python read, found in every text that holds a hit; it may be found in others."""
    pattern: re.Pattern[str]
    measure: Callable[[re.Match[str]], int]
    """Returns how many characters of a match are the hit, from its start; 0 where it is none, by checksum or rule.

    Where the pattern has a group `value`, the hit begins with that: what comes before it says what it is, and stays.
    """

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the hits in `text`."""
        group = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if length := self.measure(match):
                start = match.start(group)
                yield Span(kind=self.kind, start=start, end=start + length)


def whole(match: re.Match[str]) -> int:
    """Return the length of a match: nothing but its shape is tested."""
    return match.end() - match.start()
