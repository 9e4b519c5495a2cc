"""A message with the words of one list exchanged for their partners, wherever the sentence decides what is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tunelab.evaluation.variants.agreement import Edit, FoundWord, Undecided
from tunelab.evaluation.variants.english_agreement import PRONOUNS, english_edits
from tunelab.evaluation.variants.portuguese_agreement import portuguese_edits
from tunelab.evaluation.variants.protected_spans import Span, is_free
from tunelab.evaluation.variants.swap_lists import SwapList


def swapped(text: str, spans: Sequence[Span], swap_list: SwapList) -> str:
    """Return a text with all words of a list exchanged; the text itself if none occurs.

    Args:
        text: in the list's language.
        spans: its protected places.
        swap_list: the words.

    Raises:
        Undecided: it is not sure what is right.
    """
    partners = _partners(swap_list)
    listed = {word.lower(): word for word in partners}
    found = [
        FoundWord(text=text, start=match.start(), end=match.end(), partner=partners[word])
        for match in _pattern(tuple(partners)).finditer(text)
        if _is_written_so(match[0], word := listed[match[0].lower()])
    ]
    free = [each for each in found if is_free(each.start, each.end, spans)]
    if len(free) < len(found):
        raise Undecided("a word of the list is protected")
    if not free:
        return text
    _refuse_ids(text, spans, free)
    edits = _edits(text, free, swap_list)
    if not all(is_free(edit.start, edit.end, spans) for edit in edits):
        raise Undecided("what has to agree is protected")
    return _applied(text, edits)


def _partners(swap_list: SwapList) -> dict[str, str]:
    pronouns = PRONOUNS if (swap_list.kind, swap_list.language) == ("gender", "en") else {}
    return {**swap_list.partners, **pronouns}


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    every = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{every})(?![\w-])", re.IGNORECASE)


def _is_written_so(word: str, listed: str) -> bool:
    """Return whether a word has the capital of the list's word: ``mark`` is no Mark."""
    return word[0].isupper() or not listed[0].isupper()


def _refuse_ids(text: str, spans: Sequence[Span], found: Sequence[FoundWord]) -> None:
    """Refuse a text whose protected places name a word that is exchanged: ``john_smith_12`` is John's.

    Raises:
        Undecided: one does.
    """
    protected = " ".join(text[start:end] for start, end in spans).lower()
    names = {each.word.lower() for each in found if each.partner[0].isupper()}
    if any(re.search(rf"(?<![^\W\d_]){re.escape(name)}(?![^\W\d_])", protected) for name in names):
        raise Undecided("a name is also part of an id")


def _edits(text: str, found: Sequence[FoundWord], swap_list: SwapList) -> list[Edit]:
    match swap_list.language:
        case "en":
            return english_edits(text, found, swap_list)
        case "pt":
            return portuguese_edits(text, found, swap_list)
        case _:
            return [each.edit for each in found]


def _applied(text: str, edits: Sequence[Edit]) -> str:
    pieces, position = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        pieces += [text[position : edit.start], edit.new]
        position = edit.end
    return "".join([*pieces, text[position:]])
