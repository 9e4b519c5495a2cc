"""Hashes that were seen before, and where: bounded memory for any number of rows."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

_FIRST_SLOTS = 1 << 20
_FULL = 0.6


class Seen:
    """A set of 64-bit hashes with the place each was first seen at; 16 bytes a slot, two to eight slots a hash.

    Two different texts share a hash once in four hundred thousand times for ten million texts.
    """

    def __init__(self) -> None:
        self._hashes: NDArray[np.uint64] = np.zeros(_FIRST_SLOTS, dtype=np.uint64)
        self._places: NDArray[np.uint64] = np.zeros(_FIRST_SLOTS, dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hashes: pl.Series, places: pl.Series) -> pl.Series:
        """Take in hashes in order; return for each the place of an equal one before it, or null."""
        wanted_N = _without_zero(hashes)
        places_N = places.to_numpy().astype(np.uint64, copy=False)
        first = hashes.is_first_distinct().to_numpy()
        slots_N = self._slots(wanted_N)
        known_N = self._hashes[slots_N] == wanted_N
        new_N = first & ~known_N
        self._insert(wanted_N[new_N], places_N[new_N], slots_N[new_N])
        return self._found(wanted_N, ~new_N)

    def find(self, hashes: pl.Series) -> pl.Series:
        """Return for each hash the place of an equal one that was added, or null."""
        wanted_N = _without_zero(hashes)
        return self._found(wanted_N, self._hashes[self._slots(wanted_N)] == wanted_N)

    def _found(self, wanted_N: NDArray[np.uint64], is_there_N: NDArray[np.bool_]) -> pl.Series:
        """Return the places of the hashes that are there, null for the others."""
        rows_F = np.flatnonzero(is_there_N)
        places = pl.Series(self._places[self._slots(wanted_N[rows_F])], dtype=pl.UInt64)
        return pl.Series([None], dtype=pl.UInt64).new_from_index(0, len(wanted_N)).scatter(rows_F, places)

    def _slots(self, wanted_N: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return the slot of each hash: its own, or the free one where it would go."""
        mask = len(self._hashes) - 1
        slots_N = (wanted_N & np.uint64(mask)).view(np.intp)
        held_N = self._hashes.take(slots_N)
        open_M = np.flatnonzero((held_N != 0) & (held_N != wanted_N))
        while len(open_M):
            slots_M = (slots_N[open_M] + 1) & mask
            slots_N[open_M] = slots_M
            held_M = self._hashes.take(slots_M)
            open_M = open_M[(held_M != 0) & (held_M != wanted_N[open_M])]
        return slots_N

    def _insert(self, hashes_N: NDArray[np.uint64], places_N: NDArray[np.uint64], slots_N: NDArray[np.intp]) -> None:
        """Put in hashes that are new and different from each other, at the free slots that were found for them."""
        self._count += len(hashes_N)
        if self._count > _FULL * len(self._hashes):
            old = self._hashes != 0
            hashes_N = np.concatenate([self._hashes[old], hashes_N])
            places_N = np.concatenate([self._places[old], places_N])
            size = len(self._hashes)
            while self._count > _FULL * size:
                size *= 4
            self._hashes, self._places = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
            slots_N = self._slots(hashes_N)
        while len(hashes_N):
            self._hashes[slots_N] = hashes_N
            self._places[slots_N] = places_N
            lost_N = self._hashes.take(slots_N) != hashes_N  # of those that wanted one slot, the last got it
            hashes_N, places_N = hashes_N[lost_N], places_N[lost_N]
            slots_N = self._slots(hashes_N)


def _without_zero(hashes: pl.Series) -> NDArray[np.uint64]:
    """Return hashes with 0, which marks a free slot, made 1."""
    found_N: NDArray[np.uint64] = np.maximum(hashes.to_numpy(), np.uint64(1))
    return found_N
