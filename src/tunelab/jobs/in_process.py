"""Jobs as threads of this process: the fake of tests and notebooks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tunelab.errors import TRY_AGAIN
from tunelab.jobs.backend import JobAttempt, LogPart, Sighting
from tunelab.jobs.job import JobSpec


@dataclass(slots=True)
class InProcessWork:
    """What the function of an attempt is given, and what is known of it."""

    attempt: JobAttempt
    stop: threading.Event
    """Set when the attempt is to save and stop."""
    log: Callable[[bytes], None]
    stalled: bool = False
    """Whether it is to stop because no event came."""
    sighting: Sighting = field(default_factory=lambda: Sighting(is_running=True))


class InProcessJobs:
    """The place that is this process.

    Args:
        work: does an attempt and returns its exit code; None is that of an attempt that is lost.
    """

    def __init__(self, work: Callable[[InProcessWork], int | None]) -> None:
        self._work = work
        self._known: dict[tuple[str, int], InProcessWork] = {}
        self._stopped: set[tuple[str, int]] = set()
        self._logs: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    def plan(self, spec: JobSpec) -> str:
        """Return that a job is a thread."""
        return f"in a thread of this process, in up to {1 + spec.retries} attempts"

    def has_room(self, spec: JobSpec) -> bool:
        """Return true: a thread needs none."""
        return True

    def submit(self, attempt: JobAttempt) -> None:
        """Begin the attempt's thread, unless it was begun or stopped before."""
        name = _name(attempt)
        with self._lock:
            if name in self._known or name in self._stopped:
                return
            log = self._logs.setdefault(attempt.spec.id, bytearray())
            self._known[name] = InProcessWork(attempt=attempt, stop=threading.Event(), log=log.extend)
        threading.Thread(target=self._run, args=(self._known[name],), daemon=True).start()

    def find(self, attempt: JobAttempt) -> bool:
        """Return whether it was begun here."""
        return _name(attempt) in self._known

    def state(self, attempt: JobAttempt) -> Sighting:
        """Return how it is."""
        return self._known[_name(attempt)].sighting

    def logs(self, job_id: str, since: int = 0) -> LogPart:
        """Return what was logged from a byte on."""
        return LogPart(data=bytes(self._logs.get(job_id, b"")[since:]), start=since)

    def cancel(self, attempt: JobAttempt, *, now: bool = False) -> None:
        """Ask it to stop. A thread cannot be ended at once: `now` asks it, too."""
        with self._lock:
            self._stopped.add(_name(attempt))
            if (known := self._known.get(_name(attempt))) is not None:
                known.stop.set()

    def was_stopped(self, attempt: JobAttempt) -> bool:
        """Return whether it was asked to stop."""
        return _name(attempt) in self._stopped

    def end_stalled(self, attempt: JobAttempt) -> None:
        """Ask it to stop."""
        known = self._known[_name(attempt)]
        known.stalled = True
        known.stop.set()

    def stack(self, attempt: JobAttempt) -> str:
        """Return nothing: a thread of this process is looked at with its own tools."""
        return ""

    def forget(self, spec: JobSpec) -> None:
        """Do nothing: a thread has the secrets of its process."""

    def fetch(self, attempt: JobAttempt) -> None:
        """Do nothing: what it made is here."""

    def _run(self, work: InProcessWork) -> None:
        try:
            code = self._work(work)
        except Exception as error:
            work.log(f"{error!r}\n".encode())
            code = 1
        code = TRY_AGAIN if work.stalled and code != 0 else code
        work.sighting = Sighting(is_running=False, code=code, stalled=work.stalled)


def _name(attempt: JobAttempt) -> tuple[str, int]:
    return attempt.spec.id, attempt.number
