"""What repeats in a set of sequences, and where it comes from."""

from collections.abc import Sequence
from itertools import pairwise

from tunelab.batching.forest import Path, common_prefix, overlaps, paths
from tunelab.rendering.rendered import Rendered

_BEGINNING = "the common beginning"
_CONVERSATION = "earlier turns of the conversation"
_SESSION = "other rows of the session"
_ELSEWHERE = "rows that begin alike"


def count_repeats(sequences: Sequence[Rendered]) -> dict[str, int]:
    """Return how many tokens of `sequences` stand in another one already, by where; zeros included.

    The common beginning is what every sequence begins with: a system prompt, a tool catalogue. Beyond it, each
    sequence is compared with the one before it in the order that shares most.
    """
    ways = paths(sequences)
    counts = dict.fromkeys((_BEGINNING, _CONVERSATION, _SESSION, _ELSEWHERE), 0)
    beginning = common_prefix(ways[0].ids, ways[-1].ids) if ways else 0  # they are sorted: all between share it
    for (before, way), shared in zip(pairwise(ways), overlaps(ways), strict=True):
        counts[_BEGINNING] += beginning
        counts[_origin(before, way)] += shared - beginning
    return counts


def _origin(one: Path, other: Path) -> str:
    if one.sequence.origin == other.sequence.origin:
        return _CONVERSATION
    return _SESSION if one.sequence.group == other.sequence.group else _ELSEWHERE
