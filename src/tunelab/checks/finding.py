"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong with data or settings: how much of it, where, why it hurts, what to do."""

    code: str
    """Stable name in snake case, e.g. ``answer_cut_away``; what `checks.ignore` names."""
    severity: Severity
    summary: str
    """One sentence with the figures in it."""
    count: int
    """How many rows or sequences are concerned."""
    total: int
    """Out of how many."""
    examples: tuple[str, ...] = ()
    """Up to three places, file:line first."""
    why: str = ""
    remedy: str = ""
