"""How findings name amounts and places."""

from collections.abc import Sequence
from typing import Protocol

from tunelab.sources.row import Origin


class HasOrigin(Protocol):
    """Anything that knows where it came from."""

    @property
    def origin(self) -> Origin: ...


def how_many(count: int, total: int, noun: str) -> str:
    """Return e.g. ``12 of 240 rows (5.0 %)``."""
    return f"{count:,} of {total:,} {noun}{'' if total == 1 else 's'} ({100 * count / max(total, 1):.1f} %)"


def examples(items: Sequence[HasOrigin]) -> tuple[str, ...]:
    """Return the first three different places, as file:line."""
    return tuple(dict.fromkeys(str(item.origin) for item in items))[:3]
