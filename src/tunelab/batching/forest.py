"""Sequences merged into a forest, so that a shared token is one node.

Letters in names: N nodes (tokens that are run), M trained nodes, S segments.

Nodes are laid out depth-first. A node's depth is its position; it attends to its ancestors and itself, which is to say
to every k with ``k <= q < subtree_end[k]``. A segment is a stretch of nodes without a branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunelab.rendering.rendered import Rendered

Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """The tokens of one micro-batch, each once."""

    token_ids_N: Indices
    """Vocabulary ids; the virtual token k of a soft prompt is -1 - k."""
    depths_N: Indices
    """Position of each node in the sequences that run through it, the root and virtual tokens included."""
    subtree_ends_N: Indices
    """One past the last descendant of each node."""
    segment_starts_S: Indices
    """First node of each segment; a segment ends where the next one starts."""
    sources_M: Indices
    """The node whose output predicts a trained node: its parent."""
    targets_M: Indices
    """Vocabulary id of each trained node."""
    weights_M: NDArray[np.float32]
    """How many sequences train this node."""
    num_real_tokens: int
    """Tokens of all sequences as if nothing were shared; virtual tokens and padding never count."""

    @property
    def num_nodes(self) -> int:
        """Tokens that are run."""
        return len(self.token_ids_N)

    @property
    def num_trained(self) -> float:
        """Trained tokens of all sequences, shared or not: what the loss is divided by."""
        return float(self.weights_M.sum())

    def spans(self) -> list[tuple[int, int, int]]:
        """Return the first node of each segment, one past its last, and one past the last node below it."""
        ends = np.append(self.segment_starts_S[1:], self.num_nodes)
        return list(
            zip(self.segment_starts_S.tolist(), ends.tolist(), self.subtree_ends_N[ends - 1].tolist(), strict=True)
        )


class Path(NamedTuple):
    """The nodes that one sequence runs through, from its first token to its last."""

    ids: Indices
    """Vocabulary ids, after the virtual tokens if there are any."""
    first_trained: int
    """Depth of the first trained token."""
    sequence: Rendered
    """The sequence itself."""


def paths_of(sequences: Sequence[Rendered], *, num_virtual_tokens: int = 0, share: bool = True) -> list[Path]:
    """Return the paths of `sequences`, those that share most next to each other; without sharing in the given order.

    Virtual tokens, if any, are the root of every path.
    """
    virtual = -1 - np.arange(num_virtual_tokens, dtype=np.int32)
    found = [
        Path(
            ids=np.concatenate([virtual, each.prompt_ids, each.completion_ids]).astype(np.int32, copy=False),
            first_trained=num_virtual_tokens + len(each.prompt_ids),
            sequence=each,
        )
        for each in sequences
    ]
    return sorted(found, key=lambda path: sort_key(path.ids)) if share else found


def build_forest(paths: Sequence[Path], *, share: bool = True, root_length: int = 0) -> Forest:
    """Return the forest of sorted paths: a trie over their token ids, or separate chains when `share` is off.

    The first `root_length` tokens, which all of them share, are left out: `run_root` runs them.
    """
    # Three sequences, in the order of their ids; "|" is where the trained completion begins:
    #
    #     5 | 4            node            0   1   2   3   4   5
    #     5 6 | 7          token id        5   4   6   7   8   9
    #     5 6 | 8 9        depth           0   1   1   2   2   3     position in its sequence
    #                      subtree end     6   2   6   4   6   6     one past the last descendant
    #         5            source          -   0   -   2   2   4     the parent, whose output predicts the node
    #        / \           weight          0   1   0   1   1   1     how many sequences train it
    #       4   6
    #          / \        Nine tokens became six nodes. Node 4 (token 8) attends to each k with k <= 4 < subtree end:
    #         7   8       0, 2 and itself, which is 5 6 8. Node 1 ends at 2 and node 3 at 4: other branches.
    #             |       A segment is a stretch without a branch: it starts at 0, 1, 2, 3 and 4, and holds 8 9 as one.
    #             9
    if not paths:
        raise ValueError("a forest needs at least one sequence")
    trunk = _Trunk(sum(len(path.ids) for path in paths), max(len(path.ids) for path in paths))
    for path in paths:
        trunk.add(path.ids[root_length:], path.first_trained - root_length, share=share)
    return trunk.forest(root_length=root_length, num_real_tokens=sum(path.sequence.num_tokens for path in paths))


def build_trie(paths: Sequence[Indices], *, root_length: int = 0) -> tuple[Forest, list[Indices]]:
    """Return the forest of sorted paths of ids, in which nothing is trained, and the nodes of each path below the root.

    The first `root_length` tokens, which all of them share, are left out.
    """
    trunk = _Trunk(sum(map(len, paths)), max(map(len, paths)))
    nodes = []
    for ids in paths:
        own = ids[root_length:]
        trunk.add(own, len(own), share=True)
        nodes.append(trunk.path[: len(own)].copy())
    return trunk.forest(root_length=root_length, num_real_tokens=sum(map(len, paths))), nodes


def overlaps(paths: Sequence[Path], *, share: bool = True) -> list[int]:
    """Return how many first ids each path but the first shares with the one before it; none when `share` is off."""
    return [common_prefix(one.ids, other.ids) if share else 0 for one, other in pairwise(paths)]


def count_nodes(paths: Sequence[Path], shared: Sequence[int]) -> int:
    """Return the nodes of the forest of some paths, each of which shares so many first ids with the one before it."""
    return sum(len(path.ids) for path in paths) - sum(shared)


def sort_key(ids: Indices) -> bytes:
    """Return the key that sorts paths so that those that share most are neighbours."""
    # Big-endian bytes of the shifted ids compare as the id sequences do: prefixes first, equal prefixes side by side.
    return (ids.view(np.uint32) + np.uint32(2**31)).astype(">u4").tobytes()


def common_prefix(one: Indices, other: Indices) -> int:
    """Return how many first ids two paths share."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    return int(differs.argmax()) if differs.any() else length


class _Trunk:
    """The forest while it grows: nodes laid out so far and the path to the latest leaf."""

    def __init__(self, capacity: int, longest: int) -> None:
        self.size = 0
        self.token_ids = np.empty(capacity, dtype=np.int32)
        self.depths = np.empty(capacity, dtype=np.int32)
        self.parents = np.empty(capacity, dtype=np.int32)
        self.subtree_ends = np.empty(capacity, dtype=np.int32)
        self.weights = np.zeros(capacity, dtype=np.float32)
        self.starts: set[int] = set()
        self.path = np.empty(longest, dtype=np.int32)  # path[d] is the node at depth d on the path to the latest leaf
        self.latest: Indices = np.empty(0, dtype=np.int32)

    def add(self, ids: Indices, first_trained: int, *, share: bool) -> None:
        """Lay out what `ids` does not share with the latest leaf's path, and train it from depth `first_trained` on."""
        shared = common_prefix(self.latest, ids) if share else 0
        self._close(shared)
        start, new = self.size, len(ids) - shared
        if new:
            nodes = np.arange(start, start + new, dtype=np.int32)
            self.token_ids[nodes] = ids[shared:]
            self.depths[nodes] = np.arange(shared, len(ids), dtype=np.int32)
            self.parents[nodes] = nodes - 1
            self.parents[start] = self.path[shared - 1] if shared else -1
            self.starts.add(start)
            if shared and self.parents[start] + 1 != start:
                self.starts.add(int(self.parents[start]) + 1)  # the parent's first child now begins a segment, too
            self.path[shared : len(ids)] = nodes
            self.size += new
        self.latest = ids
        self.weights[self.path[max(first_trained, 1) : len(ids)]] += 1

    def _close(self, depth: int) -> None:
        self.subtree_ends[self.path[depth : len(self.latest)]] = self.size

    def forest(self, *, root_length: int, num_real_tokens: int) -> Forest:
        self._close(0)
        starts = np.array(sorted(self.starts), dtype=np.int32)
        trained = np.flatnonzero(self.weights[: self.size]).astype(np.int32)
        return Forest(
            token_ids_N=self.token_ids[: self.size].copy(),
            depths_N=self.depths[: self.size] + root_length,
            subtree_ends_N=self.subtree_ends[: self.size].copy(),
            segment_starts_S=starts,
            sources_M=self.parents[trained],
            targets_M=self.token_ids[trained],
            weights_M=self.weights[trained],
            num_real_tokens=num_real_tokens,
        )
