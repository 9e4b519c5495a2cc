"""A piece of a text and what could be written in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A replacement in a text."""

    start: int
    """Character that the piece begins with."""
    end: int
    """Character after the piece; `start` if something is only inserted."""
    text: str
    """What replaces it."""

    def of(self, text: str) -> str:
        """Return `text` with the piece replaced."""
        return text[: self.start] + self.text + text[self.end :]


def line_end(text: str) -> str:
    """Return what lines of a text end with."""
    found = _LINE_END.search(text)
    return found[0] if found else "\n"


def next_line(text: str, index: int) -> int:
    """Return where the line after the one with the character `index` begins; the end of the text without one."""
    found = _LINE_END.search(text, index)
    return found.end() if found else len(text)
