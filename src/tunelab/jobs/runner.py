"""The runner: the one process of a workspace that starts jobs and moves them on. It may die at any instant.

Started by whichever command finds work and no runner; gone when nothing is left to do. What it knows lies in the
database and in the jobs' folders, so the next one goes on where it was.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tunelab.errors import StorageError, UserError, counted
from tunelab.files import storage_errors, write_file
from tunelab.jobs.backend import JobAttempt, JobBackend
from tunelab.jobs.gpus import gibibytes
from tunelab.jobs.job import Job, JobSpec
from tunelab.jobs.job_environment import job_environment
from tunelab.jobs.job_folder import JobsFolder, held, is_in_place
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.pauses import Pauses
from tunelab.jobs.slots import read_slots
from tunelab.jobs.stall import StallWatch
from tunelab.jobs.state import BEGUN, JobState
from tunelab.jobs.store import Store
from tunelab.jobs.verdict import fault_of, verdict
from tunelab.workspace import Run, Workspace

_TICK_S = 0.2
_AFTER_FAULT_S = 5.0
_PASSED = 100
"""Most jobs that wait for a GPU and are passed by one that needs none."""
_LONGEST_LOCK_WAIT_S = 1.0


class Runner:
    """Moves the jobs of a workspace on by what a place says of their attempts.

    Args:
        store: where each job is.
        backend: the place.
        clock: a monotonic one, by which an attempt is found stalled.
    """

    def __init__(self, store: Store, backend: JobBackend, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._backend, self._clock = store, backend, clock
        self._specs: dict[str, JobSpec] = {}
        """Of jobs that were begun: they are looked at several times a second."""
        self._pauses = Pauses(clock)
        self._watches: dict[tuple[str, int], StallWatch] = {}

    def tick(self) -> bool:
        """Look at everything once, start what may start, and return whether anything is left to do."""
        self.settle()
        num_begun = sum(not self._pauses.has(job.id) for job in self._store.jobs(BEGUN))
        self._start_queued(read_slots(self._store.folder) - num_begun)
        return self._store.has_work()

    def settle(self) -> None:
        """Move every begun job to where it really is, and queue again what is due again."""
        for job in self._store.jobs(BEGUN):
            if self._pauses.has(job.id):
                continue
            try:
                self._settle(job)
                self._pauses.end(job.id)
            except (UserError, OSError) as error:  # one job's files must not keep the others from theirs
                self._pause(job, f"it cannot be looked at now: {_in_words(error)}")
        for job in self._store.due_again():
            again(self._store, job, reason=f"attempt {job.attempt + 1} of {job.max_attempt}")

    def _settle(self, job: Job) -> None:
        attempt = self._attempt(job)
        if not self._backend.find(attempt):
            self._settle_unknown(job, attempt)
            return
        seen = self._backend.state(attempt)
        if job.state is JobState.STARTING:
            moved = self._store.move(job, JobState.RUNNING)
            if moved is None:
                return
            job = moved
        if job.state is JobState.RUNNING and self._backend.was_stopped(attempt):  # whoever asked could not note it
            moved = self._store.move(job, JobState.CANCELLING, reason="asked to save and stop")
            if moved is None:
                return
            job = moved
        if seen.is_running:
            self._watch(job, attempt)
            return
        self._watches.pop((job.id, job.attempt), None)
        self._backend.fetch(attempt)
        end = verdict(job, seen, fault_of(self._run(job)))
        moved = self._store.move(job, end.state, reason=end.reason, code=seen.code)
        if moved is not None and moved.state in (JobState.SUCCEEDED, JobState.CANCELLED):
            self._backend.forget(attempt.spec)

    def _watch(self, job: Job, attempt: JobAttempt) -> None:
        """Say of an attempt from which no event comes that it stalls; end it if its time for that is over."""
        if job.state is not JobState.RUNNING:
            return
        now = self._clock()
        watch = self._watches.setdefault((job.id, job.attempt), StallWatch(self._run(job).events_file, now))
        limit_s = attempt.spec.stall_timeout_s
        if limit_s is not None and watch.silence_s(now) >= limit_s:
            self._backend.end_stalled(attempt)
        if watch.is_stalled(now):
            if not job.reason:
                self._keep_stack(job, attempt)
                since = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() - watch.silence_s(now)))
                self._store.explain(job, f"stalled: no event since {since}")
        elif watch.has_moved:
            self._store.explain(job, "")

    def _keep_stack(self, job: Job, attempt: JobAttempt) -> None:
        if stack := self._backend.stack(attempt):
            write_file(self._store.folder.job(job.id).stack_file(job.attempt), stack)

    def _settle_unknown(self, job: Job, attempt: JobAttempt) -> None:
        if job.state is JobState.STARTING and self._backend.was_stopped(attempt):
            self._store.move(job, JobState.CANCELLING, reason="asked to stop before it was begun")
        elif job.state is JobState.STARTING:
            self._store.move(job, JobState.QUEUED, reason="the runner ended before it was begun")
        elif job.state is JobState.CANCELLING:
            if self._store.move(job, JobState.CANCELLED, reason="it was not begun") is not None:
                self._backend.forget(attempt.spec)
        else:
            self._store.move(job, JobState.LOST, reason="the files of its attempt are gone")

    def _start_queued(self, slots: int) -> None:
        """Start the first of the queue. One without a GPU passes one that waits for a GPU; no other one does."""
        if slots <= 0:
            return
        lacks_gpu = False
        for job in self._store.next_queued(slots + _PASSED):
            if not slots:
                return
            if self._pauses.has(job.id):
                continue
            try:
                spec = self._attempt(job).spec
            except (UserError, OSError) as error:
                self._pause(job, f"it cannot be started now: {_in_words(error)}")
                continue
            if (lacks_gpu and spec.gpus) or not self._backend.has_room(spec):
                lacks_gpu = True
                memory = f" with {gibibytes(spec.gpu_bytes)}" if spec.gpu_bytes else " to itself"
                self._store.explain(job, f"waits for {counted(spec.gpus, 'GPU')}{memory}")
            else:
                slots -= 1
                self._start(job)

    def _start(self, job: Job) -> None:
        started = self._store.move(job, JobState.STARTING)
        if started is None:
            return
        try:
            self._backend.submit(self._attempt(started))
            self._pauses.end(job.id)
        except (UserError, OSError) as error:
            self._pauses.begin(job.id)
            self._store.move(started, JobState.QUEUED, reason=f"it cannot be started now: {_in_words(error)}")

    def _pause(self, job: Job, reason: str) -> None:
        self._pauses.begin(job.id)
        self._store.explain(self._store.get(job.id), reason)

    def _attempt(self, job: Job) -> JobAttempt:
        if (spec := self._specs.get(job.id)) is None:
            spec = self._specs[job.id] = self._store.spec(job.id)
        return JobAttempt(spec=spec, number=job.attempt)

    def _run(self, job: Job) -> Run:
        return Run(path=self._store.folder.workspace.path / "runs" / job.id)


def _in_words(error: UserError | OSError) -> str:
    return error.what if isinstance(error, UserError) else error.strerror or str(error)


def again(store: Store, job: Job, *, reason: str) -> Job | None:
    """Queue the next attempt of an ended job. Its folder comes first: it tells of it if the database is lost."""
    following = store.folder.job(job.id).attempt(job.attempt + 1)
    with storage_errors(following):
        following.mkdir(parents=True, exist_ok=True)
    return store.move(job, JobState.QUEUED, reason=reason)


def ensure_runner(store: Store) -> int | None:
    """Bring the jobs up to date, start a runner if there is work and no runner, and return its process id.

    The database may be out of date, as after the machine went down: with no runner there, it is corrected at once, so
    that whoever reads it next reads the truth.
    """
    with held(store.folder.runner_lock) as lock:
        if lock is None:
            return None
        Runner(store, LocalJobs(store.folder)).settle()
    return start_runner(store.folder) if store.has_work() else None


def start_runner(folder: JobsFolder) -> int:
    """Start a runner that outlives this process, and return its process id; one too many leaves by itself."""
    command = [sys.executable, "-P", "-m", "tunelab.jobs.runner", str(folder.workspace.path)]
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(folder.runner_log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    with storage_errors(folder.runner_log):
        return os.posix_spawn(sys.executable, command, job_environment(os.environ), file_actions=streams, setsid=True)


def run_jobs(folder: JobsFolder, backend: JobBackend) -> None:
    """Be the runner of a workspace until nothing is left to do; leave if there is one."""
    last = time.monotonic() + _LONGEST_LOCK_WAIT_S
    while time.monotonic() < last:  # a command that looks whether there is one holds it for an instant
        with held(folder.runner_lock) as lock:
            if lock is not None:
                _work(Store(folder), backend, lock)
                return
        time.sleep(_TICK_S)


def _work(store: Store, backend: JobBackend, lock: int) -> None:
    runner = Runner(store, backend)
    while is_in_place(store.folder.runner_lock, lock):
        try:
            if not runner.tick() and _has_left(store, lock):
                return
        except StorageError as error:  # the disk may be full for a while: the jobs that run go on meanwhile
            print(error, file=sys.stderr, flush=True)
            time.sleep(_AFTER_FAULT_S)
        time.sleep(_TICK_S)


def _has_left(store: Store, lock: int) -> bool:
    """Give the runner's lock up, unless a job came in; return whether it was given up.

    Both while no other process can write: whoever submits a job afterwards finds no runner and starts one.
    """
    with store.database.writing():
        if store.has_work():
            return False
        fcntl.flock(lock, fcntl.LOCK_UN)
        return True


def main() -> None:
    """Be the runner of the workspace that the command line names."""
    folder = JobsFolder(workspace=Workspace(path=Path(sys.argv[1])))
    run_jobs(folder, LocalJobs(folder))


if __name__ == "__main__":
    main()
