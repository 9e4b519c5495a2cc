"""What has to agree with an exchanged word in English: her is him or his, and a may become an."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunelab.evaluation.variants.agreement import (
    Edit,
    FoundWord,
    Undecided,
    as_written,
    refuse_doubtful_name,
    refuse_other_names,
    starts_sentence,
)
from tunelab.evaluation.variants.shipped_lists import shipped_list
from tunelab.evaluation.variants.swap_lists import SwapList

PRONOUNS = {"his": "her", "hers": "his"}
"""Of gender, next to the pairs of the list."""
_ARTICLE = re.compile(r"\b(an?) $", re.IGNORECASE)
_LIKE_A_CONSONANT = re.compile(r"eu|uk|ug|uni|us[aei]|one", re.IGNORECASE)
_LIKE_A_VOWEL = re.compile(r"[aeiou]|hour|honou?r|honest|heir", re.IGNORECASE)


def english_edits(text: str, found: Sequence[FoundWord], swap_list: SwapList) -> list[Edit]:
    """Return the edits that exchange words of one list in an English text.

    Raises:
        Undecided: a word may be something else, or its partner is not decided by the sentence.
    """
    words = shipped_list("agreement_en")
    names = [each for each in found if each.partner[0].isupper() and swap_list.kind in ("names", "gender")]
    for each in names:
        if each.word != "Mr" and each.word != "Ms":
            refuse_doubtful_name(each, words)
    edits = [each.edit for each in found]
    if swap_list.kind == "gender":
        refuse_other_names(text, found, {*words["capitalised"], *words["surnames"]})
        edits = [_of_gender(each) for each in found]
    elif swap_list.kind == "origin":
        for each in found:
            _refuse_other_than_people(each)
    return [*edits, *_articles(text, edits)]


def _of_gender(found: FoundWord) -> Edit:
    word = found.word.lower()
    if word == "her":
        return Edit(start=found.start, end=found.end, new=as_written(_his_or_him(found), found.word))
    if word == "his":
        return Edit(start=found.start, end=found.end, new=as_written(_her_or_hers(found), found.word))
    return found.edit


def _his_or_him(found: FoundWord) -> str:
    words = shipped_list("agreement_en")
    after, before = found.after, found.before
    if after == "own":
        return "his"
    is_clear = after not in words["undecided_after_her"] and not after.endswith(("ly", "ing"))
    if not after or after in words["no_noun"]:
        if starts_sentence(found.text, found.start):
            raise Undecided("her is him or his")
        return "him"
    if is_clear and (starts_sentence(found.text, found.start) or before in words["before_a_possessive"]):
        return "his"
    raise Undecided("her is him or his")


def _her_or_hers(found: FoundWord) -> str:
    words = shipped_list("agreement_en")
    if not found.after:
        return "hers"
    if found.after in words["no_noun"]:
        raise Undecided("his is her or hers")
    return "her"


def _refuse_other_than_people(found: FoundWord) -> None:
    """Refuse a word of origin that may be a language, a dish or a place's own.

    Raises:
        Undecided: it may be.
    """
    words = shipped_list("agreement_en")
    before = found.text[max(0, found.start - 30) : found.start].lower().replace("’", "'")
    leads = [*words["before_a_nationality"], *words["before_a_country"]]
    is_led = re.search(rf"\b(?:{'|'.join(map(re.escape, leads))}) (?:an? )?$", before) is not None
    ends = not found.after or found.after in words["no_noun"]
    if found.after in words["people"] or (is_led and ends):
        return
    raise Undecided("a word of origin may speak of no person")


def _articles(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """Return the articles before exchanged words that are to become the other."""
    changed = []
    for edit in edits:
        article = _ARTICLE.search(text, max(0, edit.start - 4), edit.start)
        if article is None:
            continue
        needed = "an" if _sounds_like_a_vowel(edit.new) else "a"
        was_right = article[1].lower() == ("an" if _sounds_like_a_vowel(text[edit.start : edit.end]) else "a")
        if was_right and article[1].lower() != needed:
            changed.append(Edit(start=article.start(1), end=article.end(1), new=as_written(needed, article[1])))
    return changed


def _sounds_like_a_vowel(word: str) -> bool:
    return _LIKE_A_VOWEL.match(word) is not None and _LIKE_A_CONSONANT.match(word) is None
