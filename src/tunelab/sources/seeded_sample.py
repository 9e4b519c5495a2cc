"""A seeded choice among items."""

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def sample(items: Sequence[Item], count: int | None, seed: int) -> tuple[Item, ...]:
    """Return at most `count` items, sampled by seed and left in their order; None takes all."""
    if count is None or count >= len(items):
        return tuple(items)
    return tuple(items[index] for index in sorted(random.Random(seed).sample(range(len(items)), count)))
