"""ROUGE-L, as the package rouge-score computes it without a stemmer."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NO_WORD = re.compile(r"[^a-z0-9]+")


def rouge_l(answer: str, reference: str) -> float:
    """Return the F1 of the longest series of words that both texts have in the same order, 0 to 1.

    Words are runs of the letters a to z and of digits, in lower case: other letters part words, as in rouge-score, so
    that it says little of other scripts.
    """
    own, other = (_NO_WORD.sub(" ", text.lower()).split() for text in (answer, reference))
    common = longest_common_subsequence(own, other)
    return 2 * common / (len(own) + len(other)) if common else 0.0


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    One bit for each word of `first`, held in one integer: a step for each word of `second` (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(first)) - 1
    unmatched = every
    for word in second:
        matched = unmatched & places.get(word, 0)
        unmatched = ((unmatched + matched) | (unmatched - matched)) & every
    return len(first) - unmatched.bit_count()
