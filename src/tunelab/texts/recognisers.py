"""Places in a text where something was recognised, and the text without them."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A place in a text."""

    kind: str
    """What stands there, in snake case, e.g. ``email``."""
    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """How one shape of one kind is found."""

    kind: str
    candidate: str
    """Pattern that both Rust and Python read, found in every text that holds a hit; it may be found in others."""
    pattern: re.Pattern[str]
    measure: Callable[[re.Match[str]], int]
    """Returns how many characters of a match are the hit, from its start; 0 where it is none, by checksum or rule.

    Where the pattern has a group `value`, the hit begins with that: what stands before it tells what it is, and stays.
    """

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the hits in `text`."""
        group = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if length := self.measure(match):
                start = match.start(group)
                yield Span(kind=self.kind, start=start, end=start + length)


def whole(match: re.Match[str]) -> int:
    """Return the length of a match: nothing but its shape is asked."""
    return match.end() - match.start()


def find_spans(text: str, recognisers: Iterable[Recogniser], kinds: Collection[str] | None = None) -> list[Span]:
    """Return the hits of `kinds` (None: of all) by place. Those that overlap are one, of the kind that begins first."""
    wanted = [each for each in recognisers if kinds is None or each.kind in kinds]
    found = sorted((span for each in wanted for span in each.spans(text)), key=lambda span: (span.start, -span.end))
    apart: list[Span] = []
    for span in found:
        if apart and span.start < apart[-1].end:
            first = apart[-1]
            apart[-1] = Span(kind=first.kind, start=first.start, end=max(first.end, span.end))
        else:
            apart.append(span)
    return apart


def redact_spans(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with each of the spans, in order and apart, replaced by its kind: ``[EMAIL]``."""
    parts, end = [], 0
    for span in spans:
        parts += [text[end : span.start], f"[{span.kind.upper()}]"]
        end = span.end
    return "".join([*parts, text[end:]])


def any_of(recognisers: Iterable[Recogniser]) -> str:
    """Return one pattern, for Rust and Python, that is found in every text in which a recogniser has a hit."""
    return "|".join(dict.fromkeys(f"(?:{each.candidate})" for each in recognisers))
