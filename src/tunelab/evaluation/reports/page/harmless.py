"""Text of rows and names as it may lie on a page: escaped, and without characters that do what is not seen."""

from __future__ import annotations

import re

from markupsafe import Markup

from tunelab.rendering.preview import pictured

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\U000e0000-\U000e007f]"
)
"""Control characters, lone surrogates, which no file can hold, and what turns text round, ends its line or hides."""

_FIRST_PRINTED = 0xA0


def harmless(text: str) -> str:
    """Return text with control characters as pictures, and those that turn it round by their number."""
    return _UNSEEN.sub(lambda match: _picture(match[0]), text)


def escaped(text: str) -> Markup:
    """Return harmless text for the page."""
    return Markup.escape(harmless(text))


def _picture(character: str) -> str:
    return pictured(character) if ord(character) < _FIRST_PRINTED else f"⟨U+{ord(character):04X}⟩"
