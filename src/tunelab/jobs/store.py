"""Where each job is. Every change is one fenced UPDATE with one line in `moves`, in one transaction.

Fenced: `WHERE id AND attempt AND state`. Of two processes that saw a job in the same state, one moves it on, and the
other learns that it did not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from tunelab.errors import TRY_AGAIN, RunError, did_you_mean, listed
from tunelab.files import storage_errors
from tunelab.jobs.database import Database
from tunelab.jobs.hosts import host_of
from tunelab.jobs.job import Job, JobSpec, Move
from tunelab.jobs.job_files import unpack
from tunelab.jobs.job_folder import JobsFolder, held
from tunelab.jobs.job_rows import JOB_FIELDS, MOVE_FIELDS, SCHEMA, insert_job, note_move, placeholders, take_in
from tunelab.jobs.state import MOVES, JobState, next_attempt

_NAMED_AT_MOST = 1_000


class Store:
    """The jobs of a workspace. Made again from their folders if the file is missing, cut or damaged.

    Raises:
        StorageError: the disk refuses a write; nothing was changed then.
    """

    def __init__(self, folder: JobsFolder) -> None:
        folder.make()
        self.folder = folder
        if not folder.is_own:
            self._take_over()
        self.database = self._opened()

    def close(self) -> None:
        """Let the file go."""
        self.database.connection.close()

    def add(self, spec: JobSpec) -> tuple[Job, bool]:
        """Return the job of this key, and whether it is new.

        What is to be done is kept twice. The row outlasts a power cut; the file in the job's folder comes first and
        outlasts the database.
        """
        if (known := self.with_key(spec.key)) is None:
            self.folder.job(spec.id).write_spec(spec)
            with self.database.writing() as connection:
                if (known := self.with_key(spec.key)) is None:
                    insert_job(connection, spec, JobState.QUEUED, attempt=1, reason="submitted")
        return known or self.get(spec.id), known is None

    def move(self, job: Job, new: JobState, *, reason: str = "", code: int | None = None) -> Job | None:
        """Move a job on from where it was seen; None if it is not there any more, and nothing was changed.

        Args:
            job: the job as it was read.
            new: a state that may follow.
            reason: why, in words.
            code: the exit code with which its attempt ended.
        """
        assert new in MOVES[job.state], f"{job.state} -> {new} is no move"
        attempt, now = next_attempt(job.state, new, job.attempt), time.time()
        with self.database.writing() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = ?, attempt = ?, changed = ?, code = ?, reason = ? "
                "WHERE id = ? AND attempt = ? AND state = ?",
                (new, attempt, now, code, reason, job.id, job.attempt, job.state),
            )
            if not changed.rowcount:
                return None
            note_move(connection, Move(id=job.id, attempt=attempt, old=job.state, new=new, time=now, reason=reason))
        return self.get(job.id)

    def explain(self, job: Job, reason: str) -> None:
        """Say why a job is still where it was seen; nothing is moved, and nothing said if it is elsewhere by now."""
        if reason != job.reason:
            with self.database.writing() as connection:
                connection.execute(
                    "UPDATE jobs SET reason = ? WHERE id = ? AND attempt = ? AND state = ?",
                    (reason, job.id, job.attempt, job.state),
                )

    def allow(self, job: Job, max_attempt: int) -> None:
        """Let attempts up to this number begin by themselves."""
        with self.database.writing() as connection:
            connection.execute("UPDATE jobs SET max_attempt = ? WHERE id = ?", (max_attempt, job.id))

    def get(self, job_id: str) -> Job:
        """Return a job by its id.

        Raises:
            RunError: its row is gone.
        """
        if found := self._select("WHERE id = ?", job_id):
            return found[0]
        remedy = "Its folder was deleted; submit its recipe again if you miss it."
        raise RunError(f"there is no job {job_id} any more", where=str(self.folder.path), remedy=remedy)

    def spec(self, job_id: str) -> JobSpec:
        """Return what is to be done, and see that its file is there, too.

        Raises:
            RunError: neither its row nor its file can be read.
        """
        folder = self.folder.job(job_id)
        try:
            ((packed,),) = self.database.read("SELECT spec FROM specs WHERE id = ?", job_id)
            spec = unpack(packed)
        except (ValueError, TypeError):  # a damaged page of the database
            return folder.read_spec()
        folder.write_spec(spec)
        return spec

    def with_key(self, key: str) -> Job | None:
        """Return the job of a key, if there is one."""
        return next(iter(self._select("WHERE key = ?", key)), None)

    def find(self, reference: str) -> Job:
        """Return the job that a user names: an id, or the beginning of only one.

        Raises:
            RunError: none or several match.
        """
        matches = self._select("WHERE substr(id, 1, ?) = ? ORDER BY id", len(reference), reference)
        exact = [job for job in matches if job.id == reference] or matches
        if len(exact) == 1:
            return exact[0]
        if reference and matches:
            names = listed(job.id for job in matches)
            raise RunError(f'"{reference}" is the beginning of {len(matches)} jobs', expected=f"one of {names}")
        if reference and (elsewhere := host_of(self.folder, reference)):
            host, job_id, state = elsewhere
            raise RunError(f"job {job_id} is {state}, and one of {host}", remedy="Give this command there.")
        ids = [job.id for job in self.jobs(limit=_NAMED_AT_MOST)]
        remedy = did_you_mean(reference, ids) if ids else "Submit one with: tunelab jobs submit RECIPE"
        raise RunError(f'there is no job "{reference}"', where=str(self.folder.path), remedy=remedy)

    def rows(self, states: Collection[JobState] = (), *, limit: int = -1) -> list[dict[str, Any]]:
        """Return jobs as `jobs` does, as plain values."""
        query, values = listing(states, limit=limit)
        return [dict(zip(JOB_FIELDS, row, strict=True)) for row in self.database.read(query, *values)]

    def jobs(self, states: Collection[JobState] = (), *, limit: int = -1) -> list[Job]:
        """Return jobs, the latest first; only those in some states if any are given."""
        query, values = listing(states, limit=limit)
        return [_job(row) for row in self.database.read(query, *values)]

    def next_queued(self, limit: int) -> list[Job]:
        """Return the queued jobs that start next."""
        order = "ORDER BY priority DESC, submitted, id LIMIT ?"
        return self._select(f"WHERE state = ? {order}", JobState.QUEUED, max(limit, 0))

    def due_again(self) -> list[Job]:
        """Return the ended jobs whose next attempt begins by itself: lost, out of time, or ended with `TRY_AGAIN`."""
        which = "(state IN (?, ?) OR (state = ? AND code = ?)) AND attempt < max_attempt"
        return self._select(f"WHERE {which}", JobState.LOST, JobState.TIMED_OUT, JobState.FAILED, TRY_AGAIN)

    def has_work(self) -> bool:
        """Whether a job runs or waits to be started."""
        return bool(self.jobs([state for state in JobState if not state.is_end], limit=1))

    def needs_runner(self) -> bool:
        """Whether a runner has something to do: start a job, look after one, or queue one again."""
        return self.has_work() or bool(self.due_again())

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state that has any."""
        found = self.database.read("SELECT state, count(*) FROM jobs GROUP BY state")
        return {JobState(state): count for state, count in found}

    def moves(self, job_id: str) -> list[Move]:
        """Return what a job went through, the earliest first."""
        query = f"SELECT {', '.join(MOVE_FIELDS)} FROM moves WHERE id = ? ORDER BY rowid"
        return [Move(**dict(zip(MOVE_FIELDS, row, strict=True))) for row in self.database.read(query, job_id)]

    def adopt(self) -> list[str]:
        """Take in the jobs whose folder was written and whose row was not, and return their ids.

        None of them begins before a person says so: a submission that was cut short was never confirmed, and the
        folder may have come from elsewhere.
        """
        before = {job.id for job in self.jobs()}
        with self.database.writing() as connection:
            take_in(connection, self.folder, found_in="a folder that was in no row of the database")
        return sorted({job.id for job in self.jobs()} - before)

    def _take_over(self) -> None:
        """Make the jobs of a copied folder this machine's own: none of them begins before a person says so."""
        database = self.folder.database
        with held(self.folder.origin_lock, wait=True):
            if self.folder.is_own:  # another process has done it meanwhile
                return
            with storage_errors(database):
                database.with_name(f"{database.name}-journal").unlink(missing_ok=True)
                if os.path.lexists(database):
                    database.rename(database.with_name(f"{database.name}.copied"))
            self._opened(found_in="a copied workspace").connection.close()
            self.folder.sign()

    def _opened(self, *, found_in: str = "") -> Database:
        fill = partial(take_in, jobs=self.folder, found_in=found_in)
        return Database(self.folder.database, lock=self.folder.write_lock, schema=SCHEMA, fill=fill)

    def _select(self, rest: str, *values: object) -> list[Job]:
        return [_job(row) for row in self.database.read(f"SELECT {', '.join(JOB_FIELDS)} FROM jobs {rest}", *values)]


def _job(row: Iterable[Any]) -> Job:
    values = dict(zip(JOB_FIELDS, row, strict=True))
    return Job(**values | {"state": JobState(values["state"])})


def listing(states: Collection[JobState], *, limit: int) -> tuple[str, tuple[object, ...]]:
    """Return the query for jobs in some states, or in any, the latest first, and its values."""
    where = f"WHERE state IN ({placeholders(states)})" if states else ""
    query = f"SELECT {', '.join(JOB_FIELDS)} FROM jobs {where} ORDER BY submitted DESC, id LIMIT ?"
    return query, (*states, limit)
