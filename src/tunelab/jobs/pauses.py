"""Jobs whose files or processes the system refused: each is left alone for a while, so that the others go on."""

from __future__ import annotations

from collections.abc import Callable

_FIRST_S, _LONGEST_S = 5.0, 300.0


class Pauses:
    """Which jobs are left alone for now. Each fault of a job in a row makes its pause twice as long, up to 5 minutes.

    Args:
        clock: a monotonic one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, tuple[float, float]] = {}
        """Id of a job -> when its pause ends, and how long it is."""

    def has(self, job_id: str) -> bool:
        """Return whether a job is left alone now."""
        return self._clock() < self._until.get(job_id, (0.0, 0.0))[0]

    def begin(self, job_id: str) -> None:
        """Leave a job alone after a fault."""
        _, before_s = self._until.get(job_id, (0.0, 0.0))
        pause_s = min(2 * before_s, _LONGEST_S) or _FIRST_S
        self._until[job_id] = self._clock() + pause_s, pause_s

    def end(self, job_id: str) -> None:
        """Forget the faults of a job that is well."""
        self._until.pop(job_id, None)
