"""What has to agree with an exchanged word in Portuguese: articles, possessives and adjectives of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunelab.evaluation.variants.agreement import (
    Edit,
    FoundWord,
    Undecided,
    as_written,
    refuse_doubtful_name,
    refuse_other_names,
    word_after,
    word_before,
)
from tunelab.evaluation.variants.shipped_lists import shipped_list
from tunelab.evaluation.variants.swap_lists import SwapList

_ENDS_OF_GENDER = ("o", "a", "os", "as", "or", "ora", "ão", "ã")
_AGREES_FROM_AFAR = re.compile(
    r"\w-[ln]?[oa]s?\b"  # vê-lo
    r"|\b(?:ele|ela|que|não|eu|já|se) [oa]s? [^\W\d_]+(?:ou|eu|iu|ava|ia|ará|e)\b"  # que o convidou
    r"|\b(?:eles|elas|deles|delas|junt[oa]s|obrigad[oa]|amb[oa]s)\b",
    re.IGNORECASE,
)


def portuguese_edits(text: str, found: Sequence[FoundWord], swap_list: SwapList) -> list[Edit]:
    """Return the edits that exchange words of one list in a Portuguese text, with what agrees with them.

    Raises:
        Undecided: something may have to agree that is on no list, or a word may be something else.
    """
    words = shipped_list("agreement_pt")
    if swap_list.kind in ("names", "gender"):
        for each in found:
            if each.partner[0].isupper():
                refuse_doubtful_name(each, words)
    if swap_list.kind == "origin":
        for each in found:
            _refuse_other_than_people(each, words)
    if swap_list.kind != "gender":
        return [each.edit for each in found]
    refuse_other_names(text, found, words["capitalised"])
    return _of_gender(text, found, words)


def _of_gender(text: str, found: Sequence[FoundWord], words: Mapping[str, Sequence[str]]) -> list[Edit]:
    if all(each.word.lower() in words["pronouns"] for each in found):
        raise Undecided("a pronoun stays alone: what agrees with it is not known")
    if _AGREES_FROM_AFAR.search(text):
        raise Undecided("a word may have to agree that is on no list")
    edits = [each.edit for each in found]
    for each in found:
        if each.word.lower() not in words["pronouns"]:
            edits += _left(each, _both(words["left"]))
            edits += _right(each, _both(words["adjectives"]), words["after"])
    edits += _after_copulas(text, found, words)
    return list({edit.start: edit for edit in edits}.values())


def _both(pairs: Sequence[Any]) -> dict[str, str]:
    return {word: partner for pair in pairs for word, partner in (pair, pair[::-1])}


def _left(found: FoundWord, partners: Mapping[str, str]) -> list[Edit]:
    edits, start = [], found.start
    while (word := word_before(found.text, start)) in partners:
        start = found.text.lower().rindex(word, 0, start)
        edits.append(_edit(found.text, start, word, partners))
    return edits


def _right(found: FoundWord, partners: Mapping[str, str], others: Sequence[str]) -> list[Edit]:
    edits, end, is_name = [], found.end, found.word[0].isupper() and found.partner[0].isupper()
    while (word := word_after(found.text, end)) in partners:
        start = found.text.lower().index(word, end)
        edits.append(_edit(found.text, start, word, partners))
        end = start + len(word)
    if not is_name and _may_agree(word, others):
        raise Undecided("a word may have to agree that is on no list")
    return edits


def _after_copulas(text: str, found: Sequence[FoundWord], words: Mapping[str, Sequence[str]]) -> list[Edit]:
    """Return the edits of adjectives that a verb joins to an exchanged word: ``a minha filha está cansada``."""
    partners, ends = _both(words["adjectives"]), {each.end for each in found}
    starts = {each.start for each in found}
    copulas, between = "|".join(words["copulas"]), "|".join(words["between"])
    pattern = rf"(?P<lead>(?: não)?(?:\A|\s)(?:{copulas})|,) (?:(?:{between}) )*(?P<word>[^\W\d_]+)"
    edits = []
    for match in re.finditer(pattern, text, re.IGNORECASE):
        word, start = match["word"].lower(), match.start("word")
        if start in starts or not _may_agree(word, words["after"]):
            continue
        is_theirs = match["lead"] != "," and match.start() in ends
        if is_theirs and word in partners:
            edits.append(_edit(text, start, match["word"], partners))
        elif is_theirs or word in partners or match["lead"] != ",":
            raise Undecided("a word may have to agree that is on no list")
    return edits


def _may_agree(word: str, others: Sequence[str]) -> bool:
    return word.endswith(_ENDS_OF_GENDER) and word not in others


def _edit(text: str, start: int, word: str, partners: Mapping[str, str]) -> Edit:
    end = start + len(word)
    return Edit(start=start, end=end, new=as_written(partners[word.lower()], text[start:end]))


def _refuse_other_than_people(found: FoundWord, words: Mapping[str, Sequence[str]]) -> None:
    leads = "|".join(map(re.escape, words["before_a_nationality"]))
    before = found.text[max(0, found.start - 30) : found.start].lower()
    is_led = re.search(rf"\b(?:{leads}) (?:uma? )?$", before) is not None
    if found.before not in words["people"] and not (is_led and found.after in ("", *words["after"])):
        raise Undecided("a word of origin may speak of no person")
