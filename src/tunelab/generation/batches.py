"""Which prompts are answered together. Imports no torch."""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from tunelab.batching.forest import common_prefix, sort_key
from tunelab.rendering.rendered import TokenIds

PASS_TOKENS = 32
"""A pass over a network has a fixed price; it is about that of so many tokens."""
_MOST_RUN = 16_384
"""Tokens that run in one pass; a prompt longer than that is a batch of its own."""
_MOST_CACHED = 65_536
"""Places of keys and values that the rows of a batch take together, padding included."""


def by_length(prompts: Sequence[TokenIds], *, most_rows: int, mixed: bool) -> list[list[int]]:
    """Return batches of the indices of prompts: like lengths together, the longest first, so that memory fails early.

    Args:
        mixed: prompts of different lengths may meet.
    """
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    alike = [order] if mixed else [list(each) for _, each in groupby(order, key=lambda index: len(prompts[index]))]
    return [group[at : at + most_rows] for group in alike for at in range(0, len(group), most_rows)]


def along_trie(
    prompts: Sequence[TokenIds], *, most_rows: int, passes: int, tokens_below: Sequence[int] | None = None
) -> list[list[int]]:
    """Return batches of the indices of prompts in the order of their ids, cut so that the fewest tokens run again.

    The batch that takes the most memory comes first, and those before it last, so that memory fails early or never.

    Args:
        passes: how many passes over the network a batch takes after the one that reads it; for these each prompt gets
            a row of keys and values of its own.
        tokens_below: of each prompt, tokens that run below it in the same pass.
    """
    # A pass begins with what all its prompts share with the path in the cache, so a cut repeats the rest of what its
    # first prompt shares with the one before:
    #
    #     1 2 3 4        shared     -       | 1 2 3 5 |          runs 5
    #     1 2 3 5                   3       | 1 2 3 5 | 1 7 |    begins with 1, and runs 2 3 5 and 7: two of them again
    #     1 7                       1
    if not prompts:
        return []
    order = sorted(range(len(prompts)), key=lambda index: sort_key(np.asarray(prompts[index], dtype=np.int32)))
    ids = [prompts[index] for index in order]
    shared = [0, *(common_prefix(one, other) for one, other in pairwise(ids))]
    below = [0] * len(ids) if tokens_below is None else [tokens_below[index] for index in order]
    starts = _cheapest_starts([len(each) for each in ids], shared, most_rows, passes, below)
    ends = [len(order)]
    while ends[-1]:
        ends.append(starts[ends[-1]])
    batches = [order[start:end] for end, start in reversed(list(pairwise(ends)))]
    first = max(range(len(batches)), key=lambda at: len(batches[at]) * max(len(prompts[row]) for row in batches[at]))
    return [*batches[first:], *batches[:first]]


def _cheapest_starts(
    lengths: Sequence[int], shared: Sequence[int], most_rows: int, passes: int, below: Sequence[int]
) -> list[int]:
    """Return for each number of prompts placed where the last of the cheapest batches begins."""
    least, starts = [0.0], [0]
    for end in range(1, len(lengths) + 1):
        costs: dict[int, float] = {}
        root, longest, new = lengths[end - 1], 0, 0
        for start in range(end - 1, max(-1, end - 1 - most_rows), -1):
            root = min(root, shared[start], lengths[start] - 1)
            longest = max(longest, lengths[start])
            new += lengths[start] - shared[start] + below[start]
            again = shared[start] - root
            cached = (end - start) * longest if passes else 0
            if costs and (new + again > _MOST_RUN or cached > _MOST_CACHED):
                break
            costs[start] = least[start] + again + (passes + 1) * PASS_TOKENS
        starts.append(min(costs, key=costs.__getitem__))
        least.append(costs[starts[-1]])
    return starts
