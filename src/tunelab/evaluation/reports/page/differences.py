"""The words by which an answer misses its reference, marked."""

from __future__ import annotations

import difflib
import re

from markupsafe import Markup

# Finding differences takes time with the product of the lengths.
_MARKED_WORDS = 1500
# Below this similarity (0 to 1) nearly every word would be marked, which points at nothing.
_MARKED_FROM = 0.4


def mark_differences(answer: str, reference: str) -> Markup:
    """Return the escaped answer, the words by which it misses the reference in <mark>."""
    words, expected = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (answer, reference))
    if answer.strip() == reference.strip() or max(len(words), len(expected)) > _MARKED_WORDS:
        return Markup.escape(answer)
    matcher = difflib.SequenceMatcher(None, words, expected, autojunk=False)
    if matcher.ratio() < _MARKED_FROM:
        return Markup.escape(answer)
    parts = []
    for kind, start, end, _, _ in matcher.get_opcodes():
        text = Markup.escape("".join(words[start:end]))
        parts.append(text if kind == "equal" or not text else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(parts)
