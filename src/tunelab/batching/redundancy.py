"""What repeats in a set of sequences, and where it comes from."""

from collections.abc import Sequence
from itertools import pairwise

from tunelab.batching.forest import Path, common_prefix, overlaps, paths_of
from tunelab.rendering.rendered import Rendered

_BEGINNING = "the common beginning"
_CONVERSATION = "earlier turns of the conversation"
_SESSION = "other rows of the session"
_ELSEWHERE = "rows that begin alike"


def count_repeats(sequences: Sequence[Rendered]) -> dict[str, int]:
    """Return how many tokens of `sequences` repeat another one, by where they do; zeros included.

    The common beginning is what every sequence begins with: a system prompt, a tool catalogue. Beyond it, each
    sequence is compared with the one before it in the order that shares most.
    """
    paths = paths_of(sequences)
    counts = dict.fromkeys((_BEGINNING, _CONVERSATION, _SESSION, _ELSEWHERE), 0)
    beginning = common_prefix(paths[0].ids, paths[-1].ids) if paths else 0  # they are sorted: all between share it
    for (before, path), shared in zip(pairwise(paths), overlaps(paths), strict=True):
        counts[_BEGINNING] += beginning
        counts[_origin(before, path)] += shared - beginning
    return counts


def _origin(one: Path, other: Path) -> str:
    if one.sequence.origin == other.sequence.origin:
        return _CONVERSATION
    return _SESSION if one.sequence.group == other.sequence.group else _ELSEWHERE
