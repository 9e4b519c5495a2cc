"""The sequences of a step, split over the processes that run it together."""

from collections.abc import Sequence
from itertools import pairwise

from tunelab.batching.forest import overlaps, paths_of
from tunelab.rendering.rendered import Rendered


def split_over_ranks(sequences: Sequence[Rendered], size: int, *, share: bool = True) -> list[list[Rendered]]:
    """Return the sequences of a step in `size` parts, such that the largest runs as few tokens as can be.

    With sharing on, a part is a stretch of the sorted sequences: what shares most stays together. If there are
    fewer sequences than parts, or one is longer than all others together, the last parts are empty.
    """
    if size == 1:
        return [list(sequences)]
    paths = paths_of(sequences, share=share)
    shared = [0, *overlaps(paths, share=share)]
    lengths = [len(path.ids) for path in paths]
    too_few, enough = max(lengths) - 1, sum(lengths)
    while enough - too_few > 1:
        limit = (too_few + enough) // 2
        too_few, enough = (too_few, limit) if len(_filled(lengths, shared, limit)) <= size else (limit, enough)
    bounds = [0, *_filled(lengths, shared, enough), *[len(paths)] * size]
    return [[path.sequence for path in paths[start:end]] for start, end in pairwise(bounds[: size + 1])]


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
