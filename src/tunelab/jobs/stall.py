"""Whether an attempt goes on, seen by the events of its run and the monotonic clock of the process that looks.

No time that is written in a file counts: only that the file of events grew since the last look.
"""

from __future__ import annotations

import os
import statistics
from contextlib import suppress
from pathlib import Path

SHORTEST_STALL_S = 300.0
_MEDIAN_STEPS = 10


class StallWatch:
    """Watches the events of one attempt.

    Args:
        events_file: of its run; it need not be there yet.
        now: a monotonic time in seconds.
    """

    def __init__(self, events_file: Path, now: float) -> None:
        self.has_moved = False
        """Whether an event came while this watched."""
        self._file, self._since, self._size = events_file, now, _size(events_file)
        self._limit_s: float | None = None

    def silence_s(self, now: float) -> float:
        """Return the seconds without an event, as far as they were watched."""
        if (size := _size(self._file)) != self._size:
            self.has_moved = True
            self._size, self._since, self._limit_s = size, now, None
        return now - self._since

    def is_stalled(self, now: float) -> bool:
        """Whether no event came for ten steps' time, and for five minutes at least."""
        silence_s = self.silence_s(now)
        if silence_s < SHORTEST_STALL_S:
            return False
        if self._limit_s is None:  # the events are read only now: nearly every run is never silent for so long
            self._limit_s = max(SHORTEST_STALL_S, _MEDIAN_STEPS * _median_step_s(self._file))
        return silence_s >= self._limit_s


def _size(file: Path) -> int:
    with suppress(OSError):
        return os.stat(file).st_size
    return 0


def _median_step_s(file: Path) -> float:
    from tunelab.events import EventIndex, StepDone

    _, durations = EventIndex(file).series(StepDone, "duration_s")
    return statistics.median(durations) if durations else 0.0
