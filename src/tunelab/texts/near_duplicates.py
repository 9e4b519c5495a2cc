"""Near-duplicates: texts that share most of their wording, found by MinHash and confirmed by what they truly share.

How alike two texts are is the Jaccard similarity of their shingles: runs of three words that occur in both, out of
those that occur in either. What occurs in a twentieth of all texts is a frame (the same instruction around each
question) and does not count, unless a text is nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from tunelab.texts.shingles import shingles

WORDS_OF_A_SHINGLE = 3
_SIGNATURE = 64
_WANTED_RECALL = 0.99
_FRAME_SHARE = 0.05
_FRAME_TEXTS = 20
_SAMPLE = 2_000
_AT_ONCE = 4_096
_ODD = np.uint64(0x9E3779B97F4A7C15)

NO_FRAME = np.empty(0, dtype=np.uint32)

# N texts, B bands, P candidate pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A text that is nearly another."""

    index: int
    of: int
    """Index of the other one; it comes before."""
    similarity: float
    """Jaccard similarity of their shingles, not estimated; 1 where case, punctuation or order alone differ."""


def near_duplicates(texts: Sequence[str], *, threshold: float) -> list[Near]:
    """Return the texts that are nearly an earlier one, which is itself nearly none, by index.

    What is returned is at least `threshold` alike. Of the pairs that are exactly so alike one in a hundred may be
    missed, of those more alike fewer. The same texts give the same answer. Texts without a word are like nothing.
    """
    sketches = Sketches(threshold=threshold, frame=frame_of(texts))
    sketches.add(texts)
    return sketches.duplicates(lambda indices: [texts[index] for index in indices])


def near_overlap(texts: Sequence[str], seen: Sequence[str], *, threshold: float) -> list[Near]:
    """Return which of `texts` are nearly one of `seen`; `index` counts in `texts`, `of` in `seen`."""
    both = [*seen, *texts]
    sketches = Sketches(threshold=threshold, frame=frame_of(both))
    sketches.add(both)
    return sketches.overlap(len(seen), lambda indices: [both[index] for index in indices])


def frame_of(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the shingles that occur in at least a twentieth of the texts, and in 20; sorted.

    Of many texts, 2,000 evenly spread ones are read.
    """
    sample = texts[:: -(-len(texts) // _SAMPLE) or 1]
    hashes, counts = np.unique(_Sets.of(sample, NO_FRAME).flat, return_counts=True)
    return hashes[counts >= max(_FRAME_TEXTS, _FRAME_SHARE * len(sample))]


class Sketches:
    """Sketches of texts that come one after another and are not kept: 8 bytes a band and text, 96 at 0.8.

    Args:
        threshold: how alike texts have to be, above 0 and up to 1.
        frame: what does not count, see `frame_of`.
    """

    def __init__(self, *, threshold: float, frame: NDArray[np.uint32] = NO_FRAME) -> None:
        self.threshold = threshold
        self._frame = frame
        self._rows = _rows_of_a_band(threshold)
        self._bands: list[NDArray[np.uint64]] = []
        self._filled: list[NDArray[np.bool_]] = []

    def add(self, texts: Iterable[str]) -> None:
        """Sketch some more texts."""
        for some in _blocks(texts):
            sets = _Sets.of(some, self._frame)
            tokens, bounds_N1 = sets.flat * _ODD, sets.bounds_N1.astype(np.uint64)
            digests = RMinHash.digest_matrix_from_flat_token_hashes(tokens, bounds_N1, num_perm=_SIGNATURE, seed=0)
            self._bands.append(self._banded(np.array(digests.to_rows(), dtype=np.uint64)))
            self._filled.append(np.diff(sets.bounds_N1) > 0)

    def duplicates(
        self, texts_of: Callable[[Sequence[int]], Sequence[str]], groups_N: NDArray[np.int64] | None = None
    ) -> list[Near]:
        """Return the texts that are nearly an earlier one, which is itself nearly none.

        Args:
            texts_of: returns the texts of some indices; called only for those that may be alike, block by block.
            groups_N: the group of each text; texts of one group are alike by nature, and are not compared.
        """
        first: dict[int, int] = {}
        found = []
        group_of = (lambda index: index) if groups_N is None else groups_N.__getitem__
        for index, others, shared in self._compared(self._pairs(groups_N=groups_N), texts_of):
            kept = sorted({first.get(other, other) for other in others})
            kept = [other for other in kept if group_of(other) != group_of(index)]
            alike = ((other, shared(index, other)) for other in kept)
            near = next(((other, share) for other, share in alike if share >= self.threshold), None)
            if near is not None:
                first[index] = near[0]
                found.append(Near(index=index, of=near[0], similarity=near[1]))
        return sorted(found, key=lambda near: near.index)

    def overlap(self, num_seen: int, texts_of: Callable[[Sequence[int]], Sequence[str]]) -> list[Near]:
        """Return which of the texts after the first `num_seen` are nearly one of those; see `near_overlap`."""
        found = []
        for index, others, shared in self._compared(self._pairs(num_seen), texts_of):
            alike = max((shared(index, other), -other) for other in others)
            if alike[0] >= self.threshold:
                found.append(Near(index=index - num_seen, of=-alike[1], similarity=alike[0]))
        return sorted(found, key=lambda near: near.index)

    def _pairs(self, num_seen: int = 0, groups_N: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the candidates as rows of (earlier, later), each once, by place.

        Of the texts that share a band each is paired with the first one and the one before it: that is enough to meet
        in one of the bands, and a band that very many share costs no square. With `num_seen`, each text after those is
        paired with the first and the last of them; with `groups_N`, with the last one before it of another group.
        """
        bands_NB = np.concatenate(self._bands) if self._bands else np.empty((0, 1), dtype=np.uint64)
        filled_F = np.flatnonzero(np.concatenate(self._filled)) if self._filled else np.empty(0, dtype=np.int64)
        found = [np.empty((0, 2), dtype=np.int64)]
        for band_N in bands_NB.T:
            order_F = filled_F[np.argsort(band_N[filled_F], kind="stable")]
            values_F = band_N[order_F]
            starts_F = np.concatenate([[True], values_F[1:] != values_F[:-1]])[: len(order_F)]
            first_F = np.maximum.accumulate(np.where(starts_F, np.arange(len(order_F)), 0))
            if num_seen:
                seen_F = np.where(order_F < num_seen, np.arange(len(order_F)), -1)
                before_F = np.maximum.accumulate(seen_F)
                later_F = (order_F >= num_seen) & (before_F >= first_F)
            else:
                groups_F = order_F if groups_N is None else groups_N[order_F]
                turns_F = starts_F | np.concatenate([[True], groups_F[1:] != groups_F[:-1]])[: len(order_F)]
                before_F = np.maximum.accumulate(np.where(turns_F, np.arange(len(order_F)), 0)) - 1
                later_F = before_F >= first_F
            for earlier_F in (first_F, before_F):
                found.append(np.stack([order_F[earlier_F[later_F]], order_F[later_F]], axis=1))
        return np.unique(np.concatenate(found), axis=0)

    def _compared(
        self, pairs: NDArray[np.int64], texts_of: Callable[[Sequence[int]], Sequence[str]]
    ) -> Iterator[tuple[int, list[int], Callable[[int, int], float]]]:
        """Yield, for each text that may be like earlier ones, its index, theirs, and what says how alike two are.

        Texts that hang together are yielded together, by index, and only theirs are held.
        """
        for block in _hanging_together(pairs):
            indices = sorted({index for pair in block for index in pair})
            sets = dict(zip(indices, _Sets.of(texts_of(indices), self._frame).each(), strict=True))
            earlier: dict[int, list[int]] = {}
            for one, other in block:
                earlier.setdefault(other, []).append(one)
            for index in sorted(earlier):
                yield index, earlier[index], partial(_jaccard, sets)

    def _banded(self, digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
        count = _SIGNATURE // self._rows
        slots = digests[:, : count * self._rows].reshape(len(digests), count, self._rows)
        mixed = np.zeros((len(digests), count), dtype=np.uint64)
        for place in range(self._rows):
            mixed = (mixed ^ slots[:, :, place]) * _ODD
            mixed ^= mixed >> np.uint64(31)
        return mixed


def _rows_of_a_band(threshold: float) -> int:
    """Return how many slots a band takes: as many as still find 99 of 100 pairs that are as alike as the threshold."""

    def recall(rows: int) -> float:
        return float(1 - (1 - threshold**rows) ** (_SIGNATURE // rows))

    return max((rows for rows in range(1, 33) if recall(rows) >= _WANTED_RECALL), default=1)


def _hanging_together(pairs: NDArray[np.int64]) -> Iterator[list[tuple[int, int]]]:
    """Yield blocks of some thousand pairs; pairs with a text in common, directly or by others, are in one block."""
    root: dict[int, int] = {}

    def top(index: int) -> int:
        while (above := root.setdefault(index, index)) != index:
            root[index] = root[above]
            index = above
        return index

    for one, other in pairs.tolist():
        first, second = sorted((top(one), top(other)))
        root[second] = first
    families: dict[int, list[tuple[int, int]]] = {}
    for one, other in pairs.tolist():
        families.setdefault(top(one), []).append((one, other))
    block: list[tuple[int, int]] = []
    for family in families.values():
        block += family
        if len(block) >= _AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _jaccard(sets: Mapping[int, NDArray[np.uint32]], one: int, other: int) -> float:
    shared = len(np.intersect1d(sets[one], sets[other], assume_unique=True))
    return shared / max(len(sets[one]) + len(sets[other]) - shared, 1)


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sets:
    """The different shingles of some texts."""

    flat: NDArray[np.uint32]
    """Text after text; those of a text are sorted."""
    bounds_N1: NDArray[np.int64]
    """Those of text n lie from bounds[n] to bounds[n + 1]."""

    @classmethod
    def of(cls, texts: Sequence[str], frame: NDArray[np.uint32]) -> "_Sets":
        """Return the shingles of each text, without those of the frame where anything else is left."""
        sorted_S = shingles(texts, size=WORDS_OF_A_SHINGLE).by_text()
        sorted_S = sorted_S[np.concatenate([np.ones(min(len(sorted_S), 1), dtype=bool), sorted_S[1:] != sorted_S[:-1]])]
        owners_S, hashes_S = (sorted_S >> np.uint64(32)).astype(np.int64), sorted_S.astype(np.uint32)
        if len(frame):
            outside_S = frame[np.minimum(np.searchsorted(frame, hashes_S), len(frame) - 1)] != hashes_S
            some_N = np.bincount(owners_S[outside_S], minlength=len(texts)) > 0
            kept_S = outside_S | ~some_N[owners_S]
            owners_S, hashes_S = owners_S[kept_S], hashes_S[kept_S]
        counts_N = np.bincount(owners_S, minlength=len(texts))
        return cls(flat=hashes_S, bounds_N1=np.concatenate([[0], np.cumsum(counts_N)]))

    def each(self) -> Iterator[NDArray[np.uint32]]:
        """Yield the shingles of each text."""
        for start, end in pairwise(self.bounds_N1.tolist()):
            yield self.flat[start:end]
