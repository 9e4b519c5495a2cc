"""Count-based language models over token ids: what the embedded model's held-out loss is measured against."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(slots=True, kw_only=True)
class TrigramCounts:
    """Counts of one, two and three tokens in a row; `add` it rows, then ask for losses."""

    vocab_size: int
    one: Counter[int] = field(default_factory=Counter)
    two: Counter[tuple[int, int]] = field(default_factory=Counter)
    three: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    followed: Counter[int] = field(default_factory=Counter)
    pair_followed: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, ids_T: Sequence[int]) -> None:
        """Count one row of token ids."""
        self.one.update(ids_T)
        self.two.update(pairwise(ids_T))
        self.three.update(zip(ids_T, ids_T[1:], ids_T[2:], strict=False))
        self.followed.update(ids_T[:-1])
        self.pair_followed.update(pairwise(ids_T[:-1]))

    def unigram_nats(self, ids_T: Sequence[int]) -> float:
        """Return the summed negative log probability of every token but the first, with one added to each count."""
        total = self.one.total() + self.vocab_size
        return -sum(math.log((self.one[token] + 1) / total) for token in ids_T[1:])

    def trigram_nats(self, ids_T: Sequence[int], weights: tuple[float, float, float]) -> float:
        """Return the summed negative log probability of every token but the first.

        `weights` mix the trigram, bigram and unigram estimates; the unigram has one added to each count. Where a
        longer context was never seen, its weight goes to the next shorter one.
        """
        total = self.one.total() + self.vocab_size
        nats = 0.0
        for index in range(1, len(ids_T)):
            token, last = ids_T[index], ids_T[index - 1]
            pair = (ids_T[index - 2], last) if index >= 2 else None
            weight_three, weight_two, weight_one = weights
            probability = 0.0
            if pair is not None and self.pair_followed[pair]:
                probability += weight_three * self.three[(*pair, token)] / self.pair_followed[pair]
            else:
                weight_two += weight_three
            if self.followed[last]:
                probability += weight_two * self.two[(last, token)] / self.followed[last]
            else:
                weight_one += weight_two
            probability += weight_one * (self.one[token] + 1) / total
            nats -= math.log(probability)
        return nats


MIXTURES: tuple[tuple[float, float, float], ...] = (
    (0.5, 0.3, 0.2), (0.6, 0.3, 0.1), (0.7, 0.2, 0.1), (0.7, 0.25, 0.05), (0.8, 0.15, 0.05), (0.9, 0.08, 0.02),
)  # fmt: skip
"""Weights tried on the tuning rows; the best is used on the held-out rows."""


def best_mixture(counts: TrigramCounts, rows: Iterable[Sequence[int]]) -> tuple[float, float, float]:
    """Return the weights that give the least loss on `rows`, which must not be the rows reported on."""
    kept = list(rows)
    return min(MIXTURES, key=lambda weights: sum(counts.trigram_nats(row, weights) for row in kept))
