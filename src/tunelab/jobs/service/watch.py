"""What the readers of one job share: a look at it several times a second, and each part that they read meanwhile.

Two hundred readers at the end of one log cost one read of the database and one of the log at each look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from tunelab.jobs.job import Job
from tunelab.jobs.service.served_jobs import ServedJobs

LOOK_S = 0.2

Part = tuple[bytes, int]
"""Messages of a stream, and the position after them."""
ReadPart = Callable[[Job, int], Part]
"""What reads a stream of a job from a position on; it may wait for a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a job was like a moment ago."""

    job: Job
    is_over: bool
    """Whether it has ended, and no other attempt is due. Whatever is read after the look is then complete."""
    _parts: dict[tuple[ReadPart, int], asyncio.Task[Part]] = field(default_factory=dict)

    async def part(self, read: ReadPart, position: int) -> Part:
        """Return what comes after a position; the readers that ask after the same look share it."""
        if (task := self._parts.get((read, position))) is None:
            task = asyncio.create_task(asyncio.to_thread(read, self.job, position))
            self._parts[read, position] = task
        return await asyncio.shield(task)  # one reader that goes takes it from no other


class Watch:
    """Looks at a job as often as its readers need, whoever of them asks first."""

    def __init__(self, jobs: ServedJobs, job_id: str) -> None:
        self._jobs, self._job_id = jobs, job_id
        self._task: asyncio.Task[Look] | None = None
        self._due = 0.0

    async def look(self) -> Look:
        """Return a look that is no older than `LOOK_S` when this is called."""
        if self._task is None or (self._task.done() and time.monotonic() >= self._due):
            self._due = time.monotonic() + LOOK_S
            self._task = asyncio.create_task(asyncio.to_thread(self._look))
        return await asyncio.shield(self._task)

    def _look(self) -> Look:
        with self._jobs.opened() as store:
            job = store.get(self._job_id)
            return Look(job=job, is_over=job.is_over)


class Watches:
    """The watch of each job that is followed now."""

    def __init__(self, jobs: ServedJobs) -> None:
        self._jobs = jobs
        self._watches: WeakValueDictionary[str, Watch] = WeakValueDictionary()

    def of(self, job_id: str) -> Watch:
        """Return the watch of a job, one for all of its readers."""
        if (watch := self._watches.get(job_id)) is None:
            watch = self._watches[job_id] = Watch(self._jobs, job_id)
        return watch
