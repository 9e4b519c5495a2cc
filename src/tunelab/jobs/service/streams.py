"""Server-sent events: log, events and moves of a job. The id of each message is the position after it.

A reader that returns with the last id it has seen (`Last-Event-ID`) misses nothing and gets nothing twice: positions
are byte offsets of files that are only appended to, and of moves their number.
"""

from __future__ import annotations

import asyncio
import codecs
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import islice

import msgspec

from tunelab.errors import UserError
from tunelab.events import EventIndex
from tunelab.jobs.job import Job
from tunelab.jobs.service.schemas import error_answer
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.watch import LOOK_S, Part, ReadPart, Watch
from tunelab.workspace import Run

KEEP_ALIVE_S = 15.0
_LOG_BYTES = 1 << 16
"""Of a message: what a reader that takes nothing holds of this process's memory, and twice as much in the system's."""
_NUM_EVENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStream:
    """A stream to send: what reads it, and from where."""

    job_id: str
    read: ReadPart
    position: int


class StreamReaders:
    """What reads each stream of the jobs of a workspace."""

    def __init__(self, jobs: ServedJobs) -> None:
        self._jobs = jobs

    def log(self, job: Job, position: int) -> Part:
        """Return some of the log; a character of which not all bytes are there yet is left for the next part."""
        part = self._jobs.local.logs(job.id, position, at_most=_LOG_BYTES)
        text, num_bytes = codecs.utf_8_decode(part.data, "replace", False)
        if not num_bytes and job.state.is_end:  # the rest of it never comes
            text, num_bytes = codecs.utf_8_decode(part.data, "replace", True)
        end = part.start + num_bytes
        return (_message("log", end, {"start": part.start, "text": text}) if text else b""), end

    def events(self, job: Job, position: int) -> Part:
        """Return some of the events of the job's run, a message each."""
        run = Run(path=self._jobs.folder.workspace.path / "runs" / job.id)
        messages = []
        for event, end in islice(EventIndex(run.events_file).news_one_by_one(position), _NUM_EVENTS):
            messages.append(_message(str(event.__struct_config__.tag), end, event))
            position = end
        return b"".join(messages), position

    def has_event_at(self, job: Job, position: int) -> bool:
        """Return whether an event begins at a position, or will: from elsewhere, all of them would be sent again."""
        run = Run(path=self._jobs.folder.workspace.path / "runs" / job.id)
        return EventIndex(run.events_file).begins_line(position)

    def moves(self, job: Job, position: int) -> Part:
        """Return what the job went through after so many moves."""
        with self._jobs.opened() as store:
            moves = store.moves(job.id)[position:]
        messages = [_message("move", number, move) for number, move in enumerate(moves, position + 1)]
        return b"".join(messages), position + len(moves)


async def messages(watch: Watch, stream: JobStream, *, is_ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield a stream until the job has ended and all of it is sent, or the service ends.

    The last message is `end` with the job in it; without one, a reader comes back.
    """
    yield b"retry: 1000\n\n"
    position, spoke = stream.position, time.monotonic()
    try:
        while not is_ending():
            look = await watch.look()
            data, position = await look.part(stream.read, position)
            if data:
                yield data
                spoke = time.monotonic()
                continue
            if look.is_over:
                yield _message("end", position, look.job)
                return
            if time.monotonic() - spoke >= KEEP_ALIVE_S:
                yield b": still here\n\n"
                spoke = time.monotonic()
            await asyncio.sleep(LOOK_S)
    except UserError as error:  # the status is sent already
        yield _message("fault", position, error_answer(error))


def _message(kind: str, position: int, data: object) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, kind.encode(), msgspec.json.encode(data))
