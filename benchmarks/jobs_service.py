"""Measure what readers cost the service of the jobs, and prove that each of them gets the whole log, once.

    PYTHONPATH=tools python benchmarks/jobs_service.py [--readers 200] [--seconds 10] [--only idle,busy,away,stuck,many]

Ends with 1 if a reader missed a byte, got one twice, or held another.

    idle   all follow the log of one job that says nothing
    busy   all follow one that says 50 lines a second
    away   all lose their connection again and again meanwhile, and return with the last id
    stuck  all ask for a log of 64 MB and read nothing, while one more reads it to its end
    many   each follows the log of a job of its own that says nothing
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from jobs_trial.kills import spec
from tunelab.jobs.job_folder import JobsFolder, held
from tunelab.jobs.shepherd_log import log_file
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

_LINES_PER_S = 50
_STUCK_LOG_BYTES = 64 << 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service with one job that runs: nobody moves it but this process, which holds the lock of the runner."""

    pid: int
    port: int
    token: str
    store: Store
    log: Path

    def cost(self) -> tuple[float, float]:
        """Return processor seconds and MiB of memory until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self.pid}/status").read_text()
        resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S, int(resident) / 1024

    def end_job(self) -> None:
        """Let the job end: streams end, too."""
        self.store.move(self.store.get("job"), JobState.SUCCEEDED)


def main() -> None:
    """Run what the command line names and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", default="idle,busy,away,stuck,many")
    given = parser.parse_args()
    trials = {"idle": _idle, "busy": _busy, "away": _away, "stuck": _stuck, "many": _many}
    right = [_tried(name, trials[name], given.readers, given.seconds) for name in given.only.split(",")]
    sys.exit(0 if all(right) else 1)


Trial = Callable[[Service, int, float], Awaitable[bool]]


def _tried(name: str, trial: Trial, readers: int, seconds: float) -> bool:
    with tempfile.TemporaryDirectory() as home:
        store = Store(JobsFolder(workspace=Workspace(path=Path(home))))
        job, _ = store.add(spec("job"))
        for state in (JobState.STARTING, JobState.RUNNING):
            job = store.move(job, state) or job
        log = Path(log_file(str(store.folder.job("job").path), 0))
        log.touch()
        with held(store.folder.runner_lock):
            command = [sys.executable, "-m", "tunelab", "jobs", "serve", "--port", "0"]
            process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE)
            try:
                assert process.stdout is not None
                process.stdout.readline()
                place = json.loads((store.folder.path / "service.json").read_bytes())
                port = int(place["address"].rpartition(":")[2])
                service = Service(pid=process.pid, port=port, token=place["token"], store=store, log=log)
                before, began = service.cost(), time.monotonic()
                is_right = asyncio.run(trial(service, readers, seconds))
                after, took = service.cost(), time.monotonic() - began
            finally:
                process.terminate()
                process.wait()
    used = (after[0] - before[0]) / took
    print(
        f"{name:<6} {readers} readers, {took:.1f} s: {used:.1%} of a core, memory {before[1]:.0f} -> {after[1]:.0f} MiB"
        f", {'right' if is_right else 'WRONG'}, ended with {process.returncode}",
        flush=True,
    )
    return is_right


async def _idle(service: Service, readers: int, seconds: float) -> bool:
    tasks = [asyncio.create_task(_read(service, [])) for _ in range(readers)]
    await asyncio.sleep(seconds)
    service.end_job()
    return {await task for task in tasks} == {b""}


async def _busy(service: Service, readers: int, seconds: float) -> bool:
    tasks = [asyncio.create_task(_read(service, [])) for _ in range(readers)]
    await _write(service, seconds)
    texts = [await task for task in tasks]
    return set(texts) == {service.log.read_bytes()}


async def _away(service: Service, readers: int, seconds: float) -> bool:
    cuts: list[int] = []
    tasks = [asyncio.create_task(_read(service, cuts, most_messages=1 + n % 7)) for n in range(readers)]
    await _write(service, seconds)
    texts = [await task for task in tasks]
    print(f"       {len(cuts)} connections were cut")
    return set(texts) == {service.log.read_bytes()} and len(cuts) > readers


async def _stuck(service: Service, readers: int, seconds: float) -> bool:
    line = b"2026-11-30T19:27:57.000Z " + b"x" * 74 + b"\n"
    service.log.write_bytes(line * (_STUCK_LOG_BYTES // len(line)))
    stuck = [await _opened(service, 0) for _ in range(readers)]
    await asyncio.sleep(2)
    print(f"       {service.cost()[1]:.0f} MiB with all of them stuck")
    service.end_job()
    began = time.monotonic()
    is_right = await _read(service, []) == service.log.read_bytes()
    print(f"       {_STUCK_LOG_BYTES >> 20} MiB read by another in {time.monotonic() - began:.1f} s")
    for _, writer in stuck:
        writer.close()
    return is_right


async def _many(service: Service, readers: int, seconds: float) -> bool:
    for number in range(readers):
        service.store.add(spec(f"job-{number}"))
    opened = [await _opened(service, 0, f"job-{number}") for number in range(readers)]
    await asyncio.sleep(seconds)
    began = time.monotonic()
    for number in range(readers):
        service.store.move(service.store.get(f"job-{number}"), JobState.CANCELLED)
    ends = [await _message(reader) for reader, _ in opened]
    print(f"       all knew the end {time.monotonic() - began:.1f} s after the first job was cancelled")
    for _, writer in opened:
        writer.close()
    return all(end is not None and end["event"] == "end" for end in ends)


async def _write(service: Service, seconds: float) -> None:
    """Append lines with characters of several bytes, cut anywhere, then end the job."""
    with service.log.open("ab", buffering=0) as file:
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end:
            line = f"step {number} loss 1.234 – größer 🙂\r{number}\n".encode()
            file.write(line[: number % len(line)])
            await asyncio.sleep(1 / _LINES_PER_S)
            file.write(line[number % len(line) :])
            number += 1
    service.end_job()


async def _read(service: Service, cuts: list[int], *, most_messages: int | None = None) -> bytes:
    """Return the log as a reader gets it, who leaves after so many messages and returns with the last id."""
    text, last_id = "", 0
    while True:
        reader, writer = await _opened(service, last_id)
        num_messages = 0
        while (message := await _message(reader)) is not None:
            if message["event"] == "end":
                writer.close()
                return text.encode()
            data = json.loads(message["data"])
            assert data["start"] == last_id
            text += data["text"]
            last_id = int(message["id"])
            num_messages += 1
            if most_messages is not None and num_messages == most_messages:
                break
        cuts.append(last_id)
        writer.close()


async def _opened(
    service: Service, last_id: int, job_id: str = "job"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1 << 20)
    head = f"GET /jobs/{job_id}/log?since={last_id} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
    writer.write(f"{head}Authorization: Bearer {service.token}\r\n\r\n".encode())
    return reader, writer


async def _message(reader: asyncio.StreamReader) -> dict[str, str] | None:
    """Return the next message that has an event; chunks begin at lines here, and their sizes are no fields."""
    fields: dict[str, str] = {}
    while line := (await reader.readline()).decode():
        name, colon, value = line.rstrip("\r\n").partition(": ")
        if colon and name in ("id", "event", "data"):
            fields[name] = value
        elif not name and "event" in fields:
            return fields
    return None


if __name__ == "__main__":
    main()
