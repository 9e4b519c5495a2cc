"""The sequences of a step dealt out to the processes that run it together."""

from collections.abc import Sequence
from itertools import pairwise

from tunelab.batching.forest import overlaps, paths
from tunelab.rendering.rendered import Rendered


def deal(sequences: Sequence[Rendered], size: int, *, share: bool = True) -> list[list[Rendered]]:
    """Return the sequences of a step in `size` parts, such that the largest runs as few tokens as can be.

    With sharing on, a part is a stretch of the sorted sequences: what shares most stays together. Where there are
    fewer sequences than parts, or one is longer than all others together, parts at the end are empty.
    """
    if size == 1:
        return [list(sequences)]
    ways = paths(sequences, share=share)
    shared = [0, *overlaps(ways, share=share)]
    lengths = [len(way.ids) for way in ways]
    too_few, enough = max(lengths) - 1, sum(lengths)
    while enough - too_few > 1:
        limit = (too_few + enough) // 2
        too_few, enough = (too_few, limit) if len(_filled(lengths, shared, limit)) <= size else (limit, enough)
    bounds = [0, *_filled(lengths, shared, enough), *[len(ways)] * size]
    return [[way.sequence for way in ways[start:end]] for start, end in pairwise(bounds[: size + 1])]


def _filled(lengths: Sequence[int], shared: Sequence[int], limit: int) -> list[int]:
    """Return the ends of stretches that are filled one after the other, each with up to `limit` tokens to run."""
    ends: list[int] = []
    tokens = lengths[0]
    for place in range(1, len(lengths)):
        tokens += lengths[place] - shared[place]
        if tokens > limit:
            ends.append(place)
            tokens = lengths[place]
    return [*ends, len(lengths)]
