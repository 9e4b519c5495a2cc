"""Rows of a sample task whose facts never repeat, so that a test row can be known only by having learnt the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tunelab.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample: its rows (an agent session has several) and the facts that no other sample may hold."""

    rows: tuple[dict[str, Any], ...]
    facts: frozenset[str]


Make = Callable[[Random], Sample]


def split_rows(
    make: Make, chance: Random, *, train_rows: int, test_rows: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return train and test rows; no fact occurs twice, neither across the two nor within one.

    A sample is never cut, so a task of several rows per sample may give a few rows more than asked.
    The test rows are drawn first: more train rows leave them as they are.
    """
    seen: set[str] = set()
    test = _draw(make, chance, test_rows, seen)
    train = _draw(make, chance, train_rows, seen)
    return train, test


def _draw(make: Make, chance: Random, count: int, seen: set[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    misses = 0
    while len(rows) < count:
        sample = make(chance)
        if seen & sample.facts:
            misses += 1
            if misses > 1000 + 20 * count:
                raise DataError(
                    f"the sample world holds only about {len(rows)} different rows of this task",
                    expected=f"fewer than the {count} rows asked for",
                )
            continue
        seen |= sample.facts
        rows += sample.rows
    return rows
