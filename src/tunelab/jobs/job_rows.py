"""The tables of the jobs' database, and how rows get into it: from a submission, or from the jobs' folders."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import fields, replace

from tunelab.errors import RunError
from tunelab.jobs.job import Job, JobSpec, Move
from tunelab.jobs.job_files import JobFolder, pack
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import JobState

SCHEMA = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, key TEXT UNIQUE NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
    max_attempt INTEGER NOT NULL, priority INTEGER NOT NULL, submitted REAL NOT NULL, changed REAL NOT NULL,
    code INTEGER, reason TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, priority DESC, submitted, id);
CREATE INDEX jobs_by_time ON jobs (submitted DESC, id);
CREATE TABLE moves (
    id TEXT NOT NULL, attempt INTEGER NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, time REAL NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX moves_by_id ON moves (id);
CREATE TABLE specs (id TEXT PRIMARY KEY, spec BLOB NOT NULL) STRICT
"""
JOB_FIELDS = tuple(each.name for each in fields(Job))
MOVE_FIELDS = tuple(each.name for each in fields(Move))


def take_in(connection: sqlite3.Connection, jobs: JobsFolder, *, found_in: str) -> int:
    """Insert the jobs that have a folder and no row, and return how many.

    Args:
        connection: in a transaction.
        jobs: the folders.
        found_in: where, if it may not be this machine that they were submitted on: none of them begins by itself.
    """
    num_taken = 0
    known = {job_id for (job_id,) in connection.execute("SELECT id FROM jobs")}
    for folder in jobs.jobs():
        if folder.path.name in known:
            continue
        # a second folder of one key, numbers that no command lets in, or one that doctor names
        with suppress(sqlite3.IntegrityError, OverflowError, RunError):
            spec = folder.read_spec()
            state, attempt = state_on_disk(folder)
            reason = "found in its folder"
            if found_in:
                state, spec = (JobState.CANCELLED if state is JobState.QUEUED else state), replace(spec, retries=0)
                begins = f"; tunelab jobs retry {spec.id} begins it" if state.is_end else ""
                reason = f"found in {found_in}{begins}"
            insert_job(connection, spec, state, attempt=attempt, reason=reason)
            num_taken += 1
    return num_taken


def state_on_disk(folder: JobFolder) -> tuple[JobState, int]:
    """Return state and attempt of a job by its files alone.

    An attempt that was begun counts as running, however long ago: the runner then looks at it as at any other, and
    finds it ended, lost or at work.
    """
    attempt = folder.last_attempt()
    files = folder.attempt(attempt)
    is_stopped = (files / "stop").exists()
    if (files / "start.json").exists():
        return (JobState.CANCELLING if is_stopped else JobState.RUNNING), attempt
    return (JobState.CANCELLED if is_stopped else JobState.QUEUED), attempt


def insert_job(connection: sqlite3.Connection, spec: JobSpec, state: JobState, *, attempt: int, reason: str) -> None:
    """Insert a job as it is submitted or found, with its first move."""
    now = time.time()
    most = max(attempt, 1 + spec.retries)
    row = (spec.id, spec.key, state, attempt, most, spec.priority, spec.submitted, now, None, reason)
    connection.execute(f"INSERT INTO jobs ({', '.join(JOB_FIELDS)}) VALUES ({placeholders(row)})", row)
    connection.execute("INSERT INTO specs (id, spec) VALUES (?, ?)", (spec.id, pack(spec)))
    note_move(connection, Move(id=spec.id, attempt=attempt, old="", new=state, time=now, reason=reason))


def note_move(connection: sqlite3.Connection, move: Move) -> None:
    """Insert one change of a job's state."""
    row = (move.id, move.attempt, move.old, move.new, move.time, move.reason)
    connection.execute(f"INSERT INTO moves ({', '.join(MOVE_FIELDS)}) VALUES ({placeholders(row)})", row)


def placeholders(values: Collection[object]) -> str:
    """Return the question marks of a query for some values."""
    return ", ".join("?" * len(values))
