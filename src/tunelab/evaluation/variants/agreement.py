"""What surrounds a word: whether it is surely what a list takes it for, in any language."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_SENTENCE_ENDS = '.!?:\n"“”«»(*-–—•'
_LAST_WORDS = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?\.?)[ \t]*$")
_FIRST_WORDS = re.compile(r"[ \t]+([^\W\d_]+(?:['’][^\W\d_]+)?)")
_CAPITALISED = re.compile(r"(?<![\w'’-])[A-ZÀ-ÖØ-Þ][^\W\d_]+")
_TITLE_OF_A_WORK = re.compile(r"['’]s [A-ZÀ-ÖØ-Þ]")
_FAR = 60


class Undecided(Exception):  # noqa: N818 - no error: the row is left out, and counted with this reason
    """A word may be something else here, or what agrees with it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A place of a text, and what is written there."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWord:
    """A word of a list in a text."""

    text: str
    start: int
    end: int
    partner: str
    """As the list writes it."""

    @property
    def word(self) -> str:
        """As the text writes it."""
        return self.text[self.start : self.end]

    @property
    def before(self) -> str:
        """The word before it in the same sentence, in small letters; empty if there is none."""
        return word_before(self.text, self.start)

    @property
    def after(self) -> str:
        """The word after it, with nothing but blanks between, in small letters; empty if there is none."""
        return word_after(self.text, self.end)

    @property
    def edit(self) -> Edit:
        """The exchange for its partner."""
        return Edit(start=self.start, end=self.end, new=as_written(self.partner, self.word))


def word_before(text: str, place: int) -> str:
    """Return the word before a place with nothing but blanks between, in small letters; empty if there is none."""
    found = _LAST_WORDS.search(text, max(0, place - _FAR), place)
    return found[1].lower().rstrip(".") if found else ""


def word_after(text: str, place: int) -> str:
    """Return the word after a place with nothing but blanks between, in small letters; empty if there is none."""
    found = _FIRST_WORDS.match(text, place)
    return found[1].lower() if found else ""


def starts_sentence(text: str, place: int) -> bool:
    """Return whether a capital at a place is that of a sentence."""
    before = text[max(0, place - _FAR) : place].rstrip(" \t'")
    return not before or before[-1] in _SENTENCE_ENDS


def as_written(partner: str, word: str) -> str:
    """Return a partner with the capitals of the word that it replaces."""
    if len(word) > 1 and word.isupper():
        return partner.upper()
    return partner[0].upper() + partner[1:] if word[0].isupper() else partner


def refuse_other_names(text: str, found: Sequence[FoundWord], known: Collection[str]) -> None:
    """Refuse a text with a name that is on no list: what is exchanged may have to agree with it.

    Raises:
        Undecided: there is one.
    """
    own = {each.start for each in found}
    for match in _CAPITALISED.finditer(text):
        if match.start() not in own and match[0] not in known and not starts_sentence(text, match.start()):
            raise Undecided("it holds a name that is on no list")


def refuse_doubtful_name(found: FoundWord, words: Mapping[str, Sequence[str]]) -> None:
    """Refuse a word that may be no person's first name here, or that of a known person.

    Raises:
        Undecided: it may be.
    """
    text, before = found.text, found.before
    start_before = text.rfind(" ", 0, max(0, found.start - 1)) + 1
    follower = _FIRST_WORDS.match(text, found.end)
    if found.word in words.get("also_other_things", ()) and before not in words["introduces_a_name"]:
        raise Undecided("a name is also something else")
    if before in words.get("titles", ()) or _TITLE_OF_A_WORK.match(text, found.end):
        raise Undecided("a name is that of a known person, or of a place")
    if follower and follower[1][0].isupper() and follower[1] not in words.get("surnames", ()):
        raise Undecided("a name is that of a known person, or of a place")
    is_known = before in words.get("introduces_a_name", ()) or before in {"i", "i'm"}
    if before and text[start_before].isupper() and not is_known and not starts_sentence(text, start_before):
        raise Undecided("a name is that of a known person, or of a place")
