"""An interval, with how it was made: a figure without one is luck."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The values that the data allow for a figure, at a confidence level."""

    low: float
    high: float
    method: str
    """How it was made, e.g. ``Wilson`` or ``10,000 resamples of 30 sessions``."""
    confidence: float = 0.95

    def holds(self, value: float) -> bool:
        """Return whether the data allow `value`."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g} ({self.confidence:.0%}, {self.method})"
