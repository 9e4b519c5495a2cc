"""The forests of one optimizer step: what all its sequences share runs once, the rest is cut to a budget of tokens.

Letters in names: R tokens of the root.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tunelab.batching.forest import Forest, Indices, Path, build_forest, common_prefix, count_nodes, overlaps, paths_of
from tunelab.rendering.rendered import Rendered

SHORTEST_ROOT = 64
"""Tokens; a shorter root costs more to hand from one micro-batch to the next than to run again."""
_COST_OF_A_CUT = 1e-3
"""Tokens; among cuts that repeat the same, the fewest."""
LEAST_SAVED = 0.03
"""Share of a step's tokens; below it, joining in attention what branches takes longer than running them again."""
GPU_LIGHT = 4_096
"""Tokens of a micro-batch that fills a GPU; more of them take memory and save no time."""
_MOST_LIGHT, _LEAST_LIGHT = 1_024, 512
"""The same of a CPU, with a small base and with a large one."""
_COST_OF_MEMORY = 0.02
"""Tokens that may run again for each token less above that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepPlan:
    """The tokens of one optimizer step, each once, but for what a cut between micro-batches repeats."""

    root_ids_R: Indices
    """The tokens above every forest, run once for all of them; empty if one forest holds them all."""
    forests: tuple[Forest, ...]
    """The micro-batches."""

    @property
    def num_trained(self) -> float:
        """Trained tokens of all sequences, shared or not: what the loss is divided by."""
        return sum(forest.num_trained for forest in self.forests)

    @property
    def num_nodes(self) -> int:
        """Tokens that are run."""
        return len(self.root_ids_R) + sum(forest.num_nodes for forest in self.forests)

    @property
    def num_real_tokens(self) -> int:
        """Tokens of all sequences as if nothing were shared; virtual tokens and padding never count."""
        return sum(forest.num_real_tokens for forest in self.forests)


NOTHING = StepPlan(root_ids_R=np.zeros(0, dtype=np.int32), forests=())
"""The plan of a process that has no work in a step."""


def plan_step(
    sequences: Sequence[Rendered],
    *,
    micro_batch_tokens: int,
    num_virtual_tokens: int = 0,
    share: bool = True,
    light: int = GPU_LIGHT,
    shortest_root: int = SHORTEST_ROOT,
    least_saved: float = LEAST_SAVED,
) -> StepPlan:
    """Return the forests of an optimizer step, none of more than `micro_batch_tokens` nodes.

    The cuts fall where the fewest tokens run again; above `light` tokens, also wherever almost none does. A sequence
    longer than the budget is a micro-batch of its own.

    Args:
        light: see `light_tokens`.
        shortest_root: a shared beginning of fewer tokens is run again in each micro-batch.
        least_saved: below this share of the step's tokens, nothing is shared.
    """
    paths = paths_of(sequences, num_virtual_tokens=num_virtual_tokens, share=share)
    shared = overlaps(paths, share=share)
    if sum(shared) < least_saved * count_nodes(paths, [0]):
        share, shared = False, [0] * len(shared)
    if len(paths) == 1 or count_nodes(paths, shared) <= min(micro_batch_tokens, light):
        return _step_plan([paths], root=0, share=share)
    root = _root_length(paths, shortest_root) if share else 0
    return _step_plan(list(_cut(paths, shared, root, micro_batch_tokens, light)), root=root, share=share)


def light_tokens(num_weights: int, *, on_gpu: bool) -> int:
    """Return how many tokens of a micro-batch keep the pace of a base with so many weights.

    A micro-batch costs some milliseconds, however few its tokens are: with 5 M weights those of 50 tokens, with 135 M
    those of 5.
    """
    if on_gpu:
        return GPU_LIGHT
    return max(_LEAST_LIGHT, min(_MOST_LIGHT, 2**33 // num_weights))


def plan_batches(batches: Sequence[Sequence[Rendered]], *, num_virtual_tokens: int = 0, share: bool = True) -> StepPlan:
    """Return a forest for each batch, as it is, under the root that all of them share."""
    pieces = [paths_of(batch, num_virtual_tokens=num_virtual_tokens, share=share) for batch in batches]
    root = _root_length([path for piece in pieces for path in piece], SHORTEST_ROOT) if share and len(pieces) > 1 else 0
    return _step_plan(pieces, root=root, share=share)


def _step_plan(pieces: Sequence[Sequence[Path]], *, root: int, share: bool) -> StepPlan:
    return StepPlan(
        root_ids_R=pieces[0][0].ids[:root],
        forests=tuple(build_forest(piece, share=share, root_length=root) for piece in pieces),
    )


def _root_length(paths: Sequence[Path], shortest: int) -> int:
    """Return how many first tokens all paths share and can leave to a run of its own, 0 if that does not pay.

    What predicts a trained token stays below the root, so that a root has no loss of its own.
    """
    length = min(common_prefix(paths[0].ids, path.ids[: max(0, path.first_trained - 1)]) for path in paths)
    return length if length >= shortest else 0


def _cut(paths: Sequence[Path], shared: Sequence[int], root: int, budget: int, light: int) -> Iterator[Sequence[Path]]:
    """Yield stretches of the sorted paths within the budget, such that little is run twice and at a time."""
    # Four paths, a budget of 7, no root:
    #
    #     a b c d e        lengths   5  4  5  3      tokens of each path
    #     a b c x          repeats   0  3  0  2      of them shared with the path before
    #     q r s t u        sums      0  1  6  7      new tokens of the paths after the first, added up
    #     q r z
    #
    # A stretch of paths has the length of its first and what is new in the others: paths 0 and 1 have 5 + (1 - 0) = 6
    # nodes, paths 0 to 2 have 5 + (6 - 0) = 11, above the budget. By number of paths placed, the cheapest cuts cost
    #
    #     least     0  0  0  0.001  0.001     starts    -  0  0  2  2
    #
    # since a cut before path 2 repeats nothing, where one before path 1 would run "a b c" again and one before path 3
    # "q r". Read back from the end: the last stretch starts at 2, the one before it at 0.
    lengths = np.array([len(path.ids) - root for path in paths])
    repeats = np.array([0, *shared]) - root  # by path: what it shares with the one before and a cut would run again
    sums = np.concatenate([[0], np.cumsum(lengths[1:] - repeats[1:])])
    least = np.zeros(len(paths) + 1)  # by number of paths placed: what their cuts cost at least
    starts = np.zeros(len(paths) + 1, dtype=np.int64)
    for placed in range(1, len(paths) + 1):
        sizes = lengths[:placed] + sums[placed - 1] - sums[:placed]
        costs = least[:placed] + np.where(np.arange(placed) > 0, repeats[:placed] + _COST_OF_A_CUT, 0)
        costs += _COST_OF_MEMORY * np.maximum(sizes - light, 0)
        costs[:-1][sizes[:-1] > budget] = np.inf  # a single path always fits
        starts[placed] = costs.argmin()
        least[placed] = costs[starts[placed]]
    ends = [len(paths)]
    while ends[-1]:
        ends.append(int(starts[ends[-1]]))
    for end, start in reversed(list(pairwise(ends))):
        yield paths[start:end]
