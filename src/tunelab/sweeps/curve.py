"""The held-out loss of a run while it goes, and when it is so much worse than others that it is not worth its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

RUNGS = (1 / 9, 1 / 3)
"""Shares of a run after which it goes on only if it is among the best third of those that came so far."""
KEPT = 3
"""One of so many goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCurve:
    """Held-out loss by the share of the run that is done."""

    points: tuple[tuple[float, float], ...] = ()
    """(share, loss), ascending; the loss is that of the weights that would be kept there."""

    @classmethod
    def of(cls, losses: Mapping[int, float], *, total_steps: int, keeps_best: bool) -> LossCurve:
        """Return the curve of losses by step; with `keeps_best` each is the lowest up to there."""
        points, kept = [], float("inf")
        for step in sorted(losses):
            kept = min(kept, losses[step]) if keeps_best else losses[step]
            points.append((step / total_steps, kept))
        return cls(points=tuple(points))

    def until(self, share: float) -> LossCurve:
        """Return its beginning, up to a share of the run."""
        return LossCurve(points=tuple(point for point in self.points if point[0] <= share))

    def rungs(self) -> dict[int, tuple[float, float]]:
        """Return the point at each rung that it reached: the first one after it, if no further rung has the same."""
        firsts = [next((point for point in self.points if rung <= point[0] < 1), None) for rung in RUNGS]
        return {
            number: point
            for number, (point, following) in enumerate(pairwise([*firsts, None]))
            if point is not None and point != following
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Why a run is stopped early, and where."""

    share: float
    """Of the run, at which it was compared."""
    reason: str


def hopeless(own: LossCurve, others: Sequence[LossCurve]) -> Pruning | None:
    """Return why a run is not worth its end, by asynchronous successive halving (ASHA); None if it goes on.

    Args:
        own: its curve.
        others: those of the trials before it. Later ones do not count, so that the answer does not depend on the moment
            at which it is asked for, and one that is asked again after a restart is the same.
    """
    for rung, (share, loss) in own.rungs().items():
        losses = sorted([loss, *(reached[rung][1] for each in others if rung in (reached := each.rungs()))])
        if len(losses) >= KEPT and loss > losses[len(losses) // KEPT - 1]:
            place = losses.index(loss) + 1
            return Pruning(share=share, reason=f"place {place} of {len(losses)} at {share:.0%} of the run")
    return None
