"""What the end of an attempt means for its job. The run decides, then the exit code."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import RunError, StorageError
from tunelab.files import sha256_folder
from tunelab.jobs.backend import Sighting
from tunelab.jobs.job import Job
from tunelab.jobs.state import JobState
from tunelab.workspace import Run

_ENDED_FROM_OUTSIDE = {128 + each for each in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
_USERS_FAULTS = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state that a job ends in, and why."""

    state: JobState
    reason: str


def verdict(job: Job, seen: Sighting, fault: str) -> Verdict:
    """Return where a job is after its attempt has ended.

    Args:
        job: the job, running or asked to stop.
        seen: how the attempt ended.
        fault: what is wrong with the run, from `fault_of`; empty if it is whole.
    """
    ended = "its process is gone without an exit code" if seen.code is None else f"ended with exit code {seen.code}"
    if not fault:
        reason = "" if seen.code == 0 else f"the run is whole; after that, {ended.removeprefix('its ')}"
        return Verdict(state=JobState.SUCCEEDED, reason=reason)
    if job.state is JobState.CANCELLING:
        state = JobState.FAILED if seen.code in _USERS_FAULTS else JobState.CANCELLED
        return Verdict(state=state, reason=ended)
    if seen.stalled:
        return Verdict(state=JobState.FAILED, reason=f"no event for longer than its --stall-timeout; {ended}")
    if seen.timed_out:
        return Verdict(state=JobState.TIMED_OUT, reason=f"out of time; {ended}")
    if seen.code is None or seen.code in _ENDED_FROM_OUTSIDE:
        return Verdict(state=JobState.LOST, reason=ended)
    return Verdict(state=JobState.FAILED, reason=f"{ended}, and {fault}" if seen.code == 0 else ended)


def fault_of(run: Run) -> str:
    """Return what keeps a run from being whole; empty if its manifest is there and every hash in it holds.

    Raises:
        StorageError: the disk refuses to read it.
    """
    if not run.is_finished:
        return "its run has no manifest.json"
    try:
        manifest = run.read_manifest()
    except RunError as error:
        return error.what
    except OSError as error:
        raise _unreadable("manifest", run.manifest_file, error) from error
    if manifest.run_id != run.id:
        return f"its manifest is that of run {manifest.run_id}"
    try:
        found = sha256_folder(run.adapter)
    except OSError as error:  # not the run's fault: it is looked at again
        raise _unreadable("adapter", run.adapter, error) from error
    wrong = sorted(name for name in {*manifest.files, *found} if manifest.files.get(name) != found.get(name))
    if wrong or not manifest.files:
        return f"files of its adapter are not those of its manifest: {', '.join(wrong) or 'there are none'}"
    return ""


def _unreadable(what: str, place: Path, error: OSError) -> StorageError:
    remedy = "Run the same command again."
    return StorageError(f"the {what} of its run cannot be read ({error.strerror})", where=str(place), remedy=remedy)
