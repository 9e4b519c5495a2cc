"""Shingles: the runs of words of a text, as numbers, for many texts at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

# N texts, W words of all of them, S shingles of all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shingles:
    """The shingles of N texts, text after text."""

    hashes_S: NDArray[np.uint64]
    """Equal shingles have equal numbers (in one version of polars); those of a text in its order, with repeats."""
    bounds_N1: NDArray[np.int64]
    """Those of text n lie from bounds[n] to bounds[n + 1]."""

    def by_text(self) -> NDArray[np.uint64]:
        """Return the shingles sorted, each text's together: its index in the upper 32 bits, a hash in the lower."""
        lengths_N = np.diff(self.bounds_N1)
        owners_S = np.repeat(np.arange(len(lengths_N), dtype=np.uint64), lengths_N)
        return np.sort((owners_S << _HALF) | (self.hashes_S >> _HALF))


def shingles(texts: Sequence[str], *, size: int) -> Shingles:
    """Return the runs of `size` words of each text, case and punctuation ignored; a shorter text is one run.

    Chinese, Japanese and Thai write no spaces: there each character is a word.
    """
    words = pl.Series(texts, dtype=pl.String).str.to_lowercase().str.extract_all(_WORD)
    lengths_N = words.list.len().to_numpy().astype(np.int64)
    hashes_W = words.explode().drop_nulls().hash(seed=0).to_numpy()
    ends_N = np.cumsum(lengths_N)
    left_W = np.repeat(ends_N, lengths_N) - np.arange(len(hashes_W))
    runs_W = np.zeros(len(hashes_W), dtype=np.uint64)
    for place in range(size):
        following = np.where(left_W > place, np.roll(hashes_W, -place), np.uint64(0))
        runs_W = (runs_W ^ following) * _ODD
        runs_W ^= runs_W >> np.uint64(29)
    begins_W = np.zeros(len(hashes_W), dtype=bool)
    begins_W[(ends_N - lengths_N)[lengths_N > 0]] = True
    kept_W = (left_W >= size) | begins_W
    counts_N = np.where(lengths_N >= size, lengths_N - size + 1, np.minimum(lengths_N, 1))
    return Shingles(hashes_S=runs_W[kept_W], bounds_N1=np.concatenate([[0], np.cumsum(counts_N)]))


_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}"
_WORD = rf"[{_UNSPACED}]|[\w&&[^{_UNSPACED}]]+"
_HALF = np.uint64(32)
_ODD = np.uint64(0x9E3779B97F4A7C15)
