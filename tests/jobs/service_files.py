"""What tests of the service share: a workspace whose jobs nothing moves, and callers of its service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from jobs_files import jobs_in, spec
from starlette.testclient import TestClient

from tunelab.jobs.job import Job
from tunelab.jobs.job_folder import held
from tunelab.jobs.service.application import application
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.streams import JobStream, StreamReaders, messages
from tunelab.jobs.service.watch import Watch
from tunelab.jobs.shepherd_log import log_file
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import GpuBytesOf

PORT = 12432
TOKEN = "the token of the tests"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
ENDED = (JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)


@contextmanager
def quiet_jobs(workspace: Path, *, gpu_bytes_of: GpuBytesOf | None = None) -> Iterator[ServedJobs]:
    """The jobs of a workspace that no runner moves, since this process holds its lock."""
    jobs = ServedJobs(jobs_in(workspace), gpu_bytes_of=gpu_bytes_of)
    jobs.folder.make()
    with held(jobs.folder.runner_lock):
        yield jobs


def client_of(jobs: ServedJobs, *, headers: dict[str, str] = KNOWN, is_ending: bool = False) -> TestClient:
    """A caller of the service, one that knows the token if no other headers are given."""
    app = application(jobs, port=PORT, token=TOKEN, is_ending=lambda: is_ending)
    return TestClient(app, f"http://127.0.0.1:{PORT}", headers=headers, raise_server_exceptions=False)  # type: ignore[arg-type]


def async_client_of(jobs: ServedJobs) -> httpx2.AsyncClient:
    """A caller that knows the token, for several requests at once."""
    transport = httpx2.ASGITransport(application(jobs, port=PORT, token=TOKEN))  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}", headers=KNOWN, timeout=60)


def add_job(jobs: ServedJobs, job_id: str, *states: JobState) -> Job:
    """A job that was moved through some states."""
    store = Store(jobs.folder)
    job, _ = store.add(spec(job_id))
    for state in states:
        job = store.move(job, state) or job
    store.close()
    return job


def move(jobs: ServedJobs, job_id: str, state: JobState) -> None:
    """Move a job on."""
    store = Store(jobs.folder)
    assert store.move(store.get(job_id), state) is not None
    store.close()


def write_log(jobs: ServedJobs, job_id: str, data: bytes) -> None:
    """Append to the log of a job."""
    with open(log_file(str(jobs.folder.job(job_id).path), 0), "ab") as file:
        file.write(data)


async def stream(
    jobs: ServedJobs, job_id: str, kind: str, position: int = 0, *, is_ending: Callable[[], bool] = lambda: False
) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of a stream, their data as it was encoded; a comment is one, too."""
    read = getattr(StreamReaders(jobs), kind)
    found = JobStream(job_id=job_id, read=read, position=position)
    async for data in messages(Watch(jobs, job_id), found, is_ending=is_ending):
        for message in parsed(data.decode()):
            yield message


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the messages of a stream's text, read as the standard says: lines end with CR, LF or both."""
    found = []
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in block.split("\n") if line)
        fields = {name: value.removeprefix(" ") for name, value in fields.items()}
        if "data" in fields:
            found.append({"id": int(fields["id"]), "event": fields["event"], "data": json.loads(fields["data"])})
        elif "" in fields:
            found.append({"event": "comment"})
    return found


def collected(found: AsyncIterator[dict[str, Any]], *, most: int | None = None) -> list[dict[str, Any]]:
    """Return the messages of a stream, at most so many."""

    async def collect() -> list[dict[str, Any]]:
        messages = []
        async for message in found:
            messages.append(message)
            if len(messages) == most:
                break
        return messages

    return asyncio.run(collect())
