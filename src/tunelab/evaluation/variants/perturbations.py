"""A message, changed: each kind is a function of the text between its protected places, and of random draws.

None says that there was nothing to change. The draws come as an argument, so that the same row is changed in the same
way whatever else is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tunelab.evaluation.variants.config import Perturbation
from tunelab.evaluation.variants.protected_spans import Span, change_between, is_free
from tunelab.evaluation.variants.shipped_lists import shipped_list

Perturb = Callable[[str, Sequence[Span], str, Random], str | None]
"""Takes a text, its protected places, its language (``en``, ``pt`` or another code) and draws."""

_ONE_WORD_IN = 8
_LEAST_LETTERS = 4
_WORD = re.compile(r"[^\W\d_]+")
_GAP = re.compile(r"(?<=\S) (?=\S)")


def typos(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Exchange two letters, leave one out, or hit a neighbouring key: in one word of eight, never in its first letter.

    Of two letters that are exchanged, neither is the first.
    """
    places = [
        match.span()
        for match in _WORD.finditer(text)
        if len(match[0]) >= _LEAST_LETTERS and is_free(*match.span(), spans)
    ]
    return _changed_at(text, _some(places, draws), lambda word: _typo(word, draws))


def _typo(word: str, draws: Random) -> str:
    place = 1 + int(draws.random() * (len(word) - 2))
    here, after = word[place], word[place + 1]
    changes = [word[:place] + word[place + 1 :]]
    if here != after:
        changes.append(word[:place] + after + here + word[place + 2 :])
    if keys := _NEIGHBOURS.get(here.lower()):
        key = keys[int(draws.random() * len(keys))]
        changes.append(word[:place] + (key.upper() if here.isupper() else key) + word[place + 1 :])
    return changes[int(draws.random() * len(changes))]


_NEIGHBOURS: Mapping[str, str] = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl", "p": "o",
    "a": "qsz", "s": "adw", "d": "sfe", "f": "dgr", "g": "fht", "h": "gjy", "j": "hku", "k": "jli", "l": "ko",
    "z": "xa", "x": "zcs", "c": "xvd", "v": "cbf", "b": "vng", "n": "bmh", "m": "nj",
}  # fmt: skip
"""Of a QWERTY keyboard, which serves English and Portuguese."""


def case(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Write everything in small letters, or everything in capitals."""
    both = [change_between(text, spans, str.lower), change_between(text, spans, str.upper)]
    if draws.random() < 0.5:
        both.reverse()
    return next((changed for changed in both if changed != text), None)


def white_space(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Put two blanks, a tab or a line break in place of one blank in eight, and a blank at the end."""
    gaps = _some(_free_gaps(text, spans), draws)
    if not text.strip():
        return None
    return (_changed_at(text, gaps, lambda _: ("  ", "\t", "\n")[int(draws.random() * 3)]) or text) + " "


def double_space(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Put two blanks in place of one: an edit that changes nothing for a reader."""
    gaps = _free_gaps(text, spans)
    return _changed_at(text, [gaps[int(draws.random() * len(gaps))]], lambda _: "  ") if gaps else None


def look_alikes(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Write one word in eight with Cyrillic letters of the same shape, or in full width."""
    places = [
        match.span()
        for match in _WORD.finditer(text)
        if is_free(*match.span(), spans) and match[0].translate(_FULL_WIDTH) != match[0]
    ]

    def look_alike(word: str) -> str:
        cyrillic = word.translate(_CYRILLIC)
        return word.translate(_FULL_WIDTH) if cyrillic == word or draws.random() < 0.5 else cyrillic

    return _changed_at(text, _some(places, draws), look_alike)


_CYRILLIC = str.maketrans("aceopxyijsABCEHKMOPTX", "асеорхуіјѕАВСЕНКМОРТХ")
_FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def accents(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Leave out all accents and cedillas of Latin letters."""
    changed = change_between(text, spans, lambda piece: "".join(map(_without_accent, piece)))
    return changed if changed != text else None


def _without_accent(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[:1]
    if unicodedata.category(char) == "Mn":
        return ""
    return base if base.isascii() else char


def paraphrase(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Replace everyday phrases of the table by others that say the same."""
    table = shipped_list("paraphrases").get(language)
    if table is None:
        return None
    anywhere, at_start = ({old.lower(): new for old, new in table[part]} for part in ("anywhere", "at_start"))

    def reworded(match: re.Match[str]) -> str:
        if not is_free(*match.span(), spans):
            return match[0]
        found = match[0].lower()
        new = anywhere.get(found) or (at_start.get(found) if _starts_sentence(text, match.start()) else None)
        return match[0] if new is None else _as_written(new, match[0])

    phrases = "|".join(sorted(map(re.escape, {*anywhere, *at_start}), key=len, reverse=True))
    changed = re.sub(rf"(?<![\w'’-])(?:{phrases})(?![\w'’-])", reworded, text, flags=re.IGNORECASE)
    return changed if changed != text else None


def _starts_sentence(text: str, place: int) -> bool:
    before = text[:place].rstrip(" \t")
    return not before or before[-1] in ".!?\n"


def _as_written(new: str, old: str) -> str:
    return new[0].upper() + new[1:] if old[0].isupper() else new


def long_context(text: str, spans: Sequence[Span], language: str, draws: Random) -> str | None:
    """Put some paragraphs before the message that have nothing to do with it."""
    contexts = shipped_list("contexts")
    paragraphs = list(contexts.get(language, contexts["en"]))
    order = sorted(range(len(paragraphs)), key=[draws.random() for _ in paragraphs].__getitem__)
    return "\n\n".join([*(paragraphs[index] for index in order), text])


PERTURB: Mapping[Perturbation, Perturb] = {
    "typos": typos,
    "case": case,
    "white_space": white_space,
    "look_alikes": look_alikes,
    "accents": accents,
    "paraphrase": paraphrase,
    "long_context": long_context,
}
"""All but the injection, which needs an answer to ask for."""


def injection(text: str, language: str, answer: str | None, draws: Random) -> tuple[str, str]:
    """Return a message with an instruction after it that asks for another answer, and that answer.

    Args:
        text: the message.
        language: of the instruction; English if there is none in it.
        answer: what is asked for; None takes a word that has nothing to do with the request.
        draws: choose the instruction.
    """
    lists = shipped_list("injections")
    own = lists.get(language, lists["en"])
    sentences = own["instructions"]
    requested = own["word"] if answer is None else answer
    return f"{text}\n\n{sentences[int(draws.random() * len(sentences))].replace('{answer}', requested)}", requested


def _free_gaps(text: str, spans: Sequence[Span]) -> list[Span]:
    return [match.span() for match in _GAP.finditer(text) if is_free(*match.span(), spans)]


def _some(places: Sequence[Span], draws: Random) -> list[Span]:
    """Return one place in eight, at least one if there is any, in order."""
    count = -(-len(places) // _ONE_WORD_IN)
    ranks = [draws.random() for _ in places]
    return sorted(sorted(places, key=dict(zip(places, ranks, strict=True)).__getitem__)[:count])


def _changed_at(text: str, places: Sequence[Span], change: Callable[[str], str]) -> str | None:
    pieces, position = [], 0
    for start, end in places:
        pieces += [text[position:start], change(text[start:end])]
        position = end
    changed = "".join([*pieces, text[position:]])
    return changed if changed != text else None
