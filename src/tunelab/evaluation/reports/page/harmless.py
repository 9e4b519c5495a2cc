"""Text of rows and names as it may lie on a page: escaped, and without characters that do what is not seen."""

from __future__ import annotations

import re

from markupsafe import Markup

from tunelab.rendering.preview import pictured

_UNSEEN = re.compile("[\ud800-\udfff\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\U000e0000-\U000e007f]")
"""Lone surrogates, which no file can hold, and characters that turn text round, end its line, or hide in it."""


def harmless(text: str) -> str:
    """Return text with control characters as pictures, and those that turn it round by their number."""
    return _UNSEEN.sub(lambda match: f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(match[0]):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}", pictured(text))


def escaped(text: str) -> Markup:
    """Return harmless text for the page."""
    return Markup.escape(harmless(text))


def shortened(text: str, characters: int) -> str:
    """Return text of so many characters at most, and how many are left out of its middle."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"
