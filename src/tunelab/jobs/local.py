"""Jobs as processes of this machine: a shepherd for each attempt, and the lock it holds as the sign of life.

No process writes that it is alive, and no clock decides it: the system lets the lock go at the moment its holder ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tunelab.errors import RunError, StorageError, UserError, counted
from tunelab.files import storage_errors, write_file, write_json
from tunelab.jobs import shepherd
from tunelab.jobs.backend import JobAttempt, LogPart, Sighting, command_of
from tunelab.jobs.gpus import VISIBLE, Gpu, HeldGpus, gibibytes, gpus_for, gpus_here, require_gpus
from tunelab.jobs.job import JobSpec
from tunelab.jobs.job_environment import job_environment
from tunelab.jobs.job_files import JobFolder
from tunelab.jobs.job_folder import JobsFolder, held, leave_word
from tunelab.jobs.job_secrets import forget_secrets
from tunelab.jobs.marked_processes import MARK, end_processes
from tunelab.jobs.shepherd_log import log_file, log_files
from tunelab.jobs.slots import read_slots, threads_of_a_job
from tunelab.jobs.warm_start import ensure_warm_server, warm_socket

TUNELAB = (sys.executable, "-P", "-m", "tunelab")
"""The command line in this Python; -P: no module in the current folder is taken for one of its own."""
WARM = (sys.executable, "-P", "-m", "tunelab.cli.fork_jobs")
"""The process that forks warm jobs."""
_LONGEST_LOG_PART = 1 << 20
_LONGEST_STACK_S = 10
_FIRST_GPU = "/dev/nvidia0"


class LocalJobs:
    """The place that is this machine.

    Args:
        folder: the jobs' files.
        program: what is started; `train RECIPE --run ID` follows.
        gpus: looks which there are; called when the first job that needs one is to start.
        warm: what forks the workers of warm jobs, which do what `program` does.
    """

    def __init__(
        self,
        folder: JobsFolder,
        *,
        program: Sequence[str] = TUNELAB,
        gpus: Callable[[], Sequence[Gpu]] = gpus_here,
        warm: Sequence[str] = WARM,
    ) -> None:
        self._folder, self._program, self._look_for_gpus, self._warm = folder, program, gpus, warm
        self._found_gpus: Sequence[Gpu] = ()
        self._held: dict[str, HeldGpus] = {}
        """GPUs of the jobs that run, by id: filled by `submit`, and by `state` for those that another runner began."""
        self._children: list[subprocess.Popen[bytes]] = []

    def plan(self, spec: JobSpec) -> str:
        """Return where a job runs; a system without /proc and pidfd is refused, and GPUs that are not there."""
        if not hasattr(os, "pidfd_open") or not os.path.isdir("/proc/self"):
            what = f"jobs need Linux (/proc, pidfd); this is {sys.platform}"
            raise UserError(what, remedy="tunelab train works without: tunelab train RECIPE --run ID.")
        require_gpus(spec, self._gpus() if spec.gpus else ())
        limit = f", at most {spec.timeout_s:,.0f} s each" if spec.timeout_s is not None else ""
        return f"on this machine{_gpus_in_words(spec)}, in up to {1 + spec.retries} attempts{limit}"

    def has_room(self, spec: JobSpec) -> bool:
        """Return whether as many GPUs as it needs have room for it."""
        return self._gpus_for(spec) is not None

    def submit(self, attempt: JobAttempt) -> None:
        """Start the attempt's shepherd with the job's lock in its hands."""
        folder, files = self._places(attempt)
        self._reap()
        if self.find(attempt) or (files / "stop").exists():
            return
        if link := folder.link():
            raise _outside(link)
        with held(folder.lock_file) as lock:
            if lock is None:
                return  # an earlier attempt is still ending
            held_gpus = self._gpus_for(attempt.spec)
            if held_gpus is None:
                return  # the last one is taken since the runner looked
            end_processes(str(folder.path))
            write_file(folder.recipe_file, attempt.spec.recipe)
            start = {
                "command": command_of(attempt, self._program, folder.recipe_file.name),
                "cwd": str(folder.path),
                "variables": self._variables(attempt, held_gpus),
                "gpus": asdict(held_gpus),
                "secrets": attempt.spec.secrets,
                "timeout_s": attempt.spec.timeout_s,
                "grace_s": attempt.spec.grace_s,
                **(self._warm_start(attempt) if attempt.spec.warm else {}),
            }
            write_json(files / "start.json", start)
            try:
                with storage_errors(files), (files / "shepherd.txt").open("wb") as errors:
                    self._children.append(_started(folder, attempt.number, lock, errors.fileno()))
            except BaseException:
                (files / "start.json").unlink(missing_ok=True)  # it was not begun: no attempt is spent
                raise
            self._held[attempt.spec.id] = held_gpus

    def find(self, attempt: JobAttempt) -> bool:
        """Return whether it was begun here."""
        return (self._places(attempt)[1] / "start.json").exists()

    def state(self, attempt: JobAttempt) -> Sighting:
        """Return whether its shepherd lives, else how it ended; what it left running is ended first."""
        self._reap()
        folder, files = self._places(attempt)
        with held(folder.lock_file) as lock:
            if lock is None:
                self._note_gpus(attempt, files)
                return Sighting(is_running=True)
            self._held.pop(attempt.spec.id, None)
            end_processes(str(folder.path))
        with suppress(OSError, ValueError, KeyError):
            ended = json.loads((files / "exit.json").read_bytes())
            why = {name: bool(ended.get(name)) for name in ("timed_out", "stalled")}
            return Sighting(is_running=False, code=int(ended["code"]), **why)
        return Sighting(is_running=False)

    def logs(self, job_id: str, since: int = 0, *, at_most: int = _LONGEST_LOG_PART) -> LogPart:
        """Return the log from a byte on, at most so many bytes of it."""
        folder = str(self._folder.job(job_id).path)
        while starts := _log_files(folder):
            start = max((each for each in starts if each <= since), default=starts[0])
            since = max(since, start)
            with suppress(FileNotFoundError), open(log_file(folder, start), "rb") as file:  # or just deleted
                file.seek(since - start)
                if (data := file.read(at_most)) or start == starts[-1]:
                    return LogPart(data=data, start=since)
                since = min(each for each in starts if each > start)
        return LogPart(data=b"", start=since)

    def cancel(self, attempt: JobAttempt, *, now: bool = False) -> None:
        """Leave word for the shepherd, which looks for it several times a second."""
        files = self._places(attempt)[1]
        leave_word(files / "stop")
        if now:
            leave_word(files / "stop-now")

    def was_stopped(self, attempt: JobAttempt) -> bool:
        """Return whether word was left for the shepherd by a user."""
        return (self._places(attempt)[1] / "stop").exists()

    def end_stalled(self, attempt: JobAttempt) -> None:
        """Leave word for the shepherd, which heeds a user's before it."""
        if not (stop := self._places(attempt)[1] / "stop-stalled").exists():
            leave_word(stop)

    def stack(self, attempt: JobAttempt) -> str:
        """Return what py-spy says of the worker, if that program is there."""
        if (program := shutil.which("py-spy")) is None:
            return ""
        with suppress(OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            pid = json.loads((self._places(attempt)[1] / "began.json").read_bytes())["pid"]
            command = [program, "dump", "--pid", str(int(pid))]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_STACK_S, check=False
            )
            return (done.stdout or done.stderr).decode(errors="replace")
        return ""

    def forget(self, spec: JobSpec) -> None:
        """Delete its secrets, as far as they were kept for it."""
        forget_secrets(spec)

    def fetch(self, attempt: JobAttempt) -> None:
        """Do nothing: the run is made in the workspace."""

    def _gpus(self) -> Sequence[Gpu]:
        """Return the GPUs there are; they are looked for until some are found, since a driver may answer late."""
        if not self._found_gpus:
            self._found_gpus = self._look_for_gpus()
        return self._found_gpus

    def _gpus_for(self, spec: JobSpec) -> HeldGpus | None:
        others = [each for job_id, each in self._held.items() if job_id != spec.id]
        return gpus_for(spec, self._gpus() if spec.gpus else (), others)

    def _note_gpus(self, attempt: JobAttempt, files: Path) -> None:
        """Take in what a job holds that an earlier runner began."""
        if attempt.spec.gpus and attempt.spec.id not in self._held:
            with suppress(OSError, ValueError, KeyError, TypeError):
                held = json.loads((files / "start.json").read_bytes())["gpus"]
                self._held[attempt.spec.id] = HeldGpus(
                    uuids=tuple(held["uuids"]), memory_bytes=int(held["memory_bytes"])
                )

    def _variables(self, attempt: JobAttempt, gpus: HeldGpus) -> dict[str, str]:
        """Return the variables that only this attempt has."""
        mark = str(self._folder.job(attempt.spec.id).path)
        own = {MARK: mark, "TUNELAB_JOB": attempt.spec.id, "PYTHONUNBUFFERED": "1"}
        threads = threads_of_a_job(read_slots(self._folder))
        if threads is not None and "OMP_NUM_THREADS" not in os.environ:
            own["OMP_NUM_THREADS"] = str(threads)
        if gpus.uuids or os.path.exists(_FIRST_GPU):  # one that has no GPU sees none: it would take another job's
            own[VISIBLE] = ",".join(gpus.uuids)
        return own

    def _places(self, attempt: JobAttempt) -> tuple[JobFolder, Path]:
        folder = self._folder.job(attempt.spec.id)
        if (files := folder.attempt(attempt.number)).is_symlink():
            raise _outside(files)
        return folder, files

    def _reap(self) -> None:
        self._children = [each for each in self._children if each.poll() is None]

    def _warm_start(self, attempt: JobAttempt) -> dict[str, object]:
        """Return what the shepherd of a warm job is given in addition; it does without a server that is not there."""
        try:
            if (server := ensure_warm_server(self._folder, self._warm)) is not None:
                self._children.append(server)
        except StorageError as error:
            print(error, file=sys.stderr, flush=True)
        arguments = command_of(attempt, (), self._folder.job(attempt.spec.id).recipe_file.name)
        return {"warm": {"socket": str(warm_socket(self._folder)), "arguments": arguments}}


def _outside(link: Path) -> RunError:
    return RunError(f"{link} is a link, and a job writes into its own folder alone", remedy="Delete it.")


def _gpus_in_words(spec: JobSpec) -> str:
    if not spec.gpus:
        return ""
    memory = f" ({gibibytes(spec.gpu_bytes)} each by estimate)" if spec.gpu_bytes else ", alone on it"
    return f" with {counted(spec.gpus, 'GPU')}{memory}"


def _started(folder: JobFolder, number: int, lock: int, errors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", shepherd.__file__, str(folder.path), str(number)],
        cwd=folder.path,
        env=job_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=errors,
        stderr=errors,
        pass_fds=(lock,),
        start_new_session=True,
    )


def _log_files(folder: str) -> list[int]:
    with suppress(FileNotFoundError):
        return log_files(folder)
    return []
