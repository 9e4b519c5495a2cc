"""When a checkpoint is due by the clock, so that a kill costs minutes of work whatever a step takes."""

import time

from tunelab.events import EventLog, Notice, StepDone

_LONG_STEP_S = 10.0
"""Schedulers commonly give a process 30 seconds between SIGTERM and SIGKILL."""


class SaveClock:
    """Tells when a checkpoint is due; it decides when bytes are saved, never which."""

    def __init__(self, minutes: float | None) -> None:
        self._interval_s = float("inf") if minutes is None else 60 * minutes
        self._last = time.monotonic()
        self._is_said = False

    def is_due(self, done: StepDone, events: EventLog) -> bool:
        """Tell whether the last checkpoint is older than the interval; say it once if a step takes long to end."""
        if done.duration_s > _LONG_STEP_S and not self._is_said:
            self._is_said = True
            text = f"a step takes {done.duration_s:,.0f} s: a signal waits for its end, a kill in it may lose as much"
            events.emit(Notice(code="long_step", text=text))
        return time.monotonic() - self._last >= self._interval_s

    def restart(self) -> None:
        """Count from now: a checkpoint was written."""
        self._last = time.monotonic()
