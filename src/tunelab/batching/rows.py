"""Rows instead of forests, for models that cannot branch: nothing shared, similar lengths together, padding behind."""

from collections.abc import Sequence

import numpy as np

from tunelab.batching.forest import Forest, Path, paths, plant
from tunelab.batching.grove import Grove
from tunelab.rendering.rendered import Rendered


def plant_rows(sequences: Sequence[Rendered], *, micro_batch_tokens: int, num_virtual_tokens: int = 0) -> Grove:
    """Return the rows of an optimizer step, no micro-batch of more than `micro_batch_tokens` padded places.

    Each path is a tree of its own. A sequence longer than the budget is a micro-batch by itself.
    """
    ways = paths(sequences, num_virtual_tokens=num_virtual_tokens, share=False)
    longest_first = sorted(ways, key=lambda way: -len(way.ids))
    pieces: list[list[Path]] = []
    for way in longest_first:
        if not pieces or (len(pieces[-1]) + 1) * len(pieces[-1][0].ids) > micro_batch_tokens:
            pieces.append([])
        pieces[-1].append(way)
    return Grove(root_ids_R=np.zeros(0, dtype=np.int32), forests=tuple(plant(piece, share=False) for piece in pieces))


def padded_places(forest: Forest) -> int:
    """Return the places of a forest without branches as padded rows: what a budget of tokens counts."""
    return len(forest.segment_starts_S) * (int(forest.depths_N.max()) + 1)
