"""Kill runner, shepherds and workers again and again, and see that no job is lost, done twice or leaves a process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from jobs_trial.worker import right_state
from tunelab.jobs.job import Job, JobSpec
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.marked_processes import MARK, marked_processes
from tunelab.jobs.slots import write_slots
from tunelab.jobs.state import MOVES, JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

_ROLES = ("runner", "shepherd", "worker")
_WARM_ROLES = (*_ROLES, "server")
_KILLED_AT_ITS_START = 0.05
"""The chance that a runner is killed before it has moved a job: if all were, none would ever begin."""


@dataclass(frozen=True, kw_only=True)
class KillTrial:
    """What came of it."""

    kills: Counter[str]
    """Role -> how often one was killed."""
    seconds: float
    succeeded: int
    wrong: list[str]
    """Each thing that must not be."""


def spec(job_id: str, *, warm: bool = False, **recipe: object) -> JobSpec:
    """Return a job of the substitute."""
    text, key = json.dumps({"steps": 4, **recipe}), f"key of {job_id}"
    return JobSpec(id=job_id, key=key, recipe=text, retries=10_000, grace_s=5.0, warm=warm, submitted=time.time())


def kill_trial(
    workspace: Path,
    *,
    num_jobs: int,
    num_kills: int,
    slots: int,
    seed: int,
    steps: int = 60,
    step_s: float = 0.005,
    warm: bool = False,
) -> KillTrial:
    """Submit jobs, kill at random instants until so many are killed or all is done, then let the rest end."""
    chance = random.Random(seed)
    folder = JobsFolder(workspace=Workspace(path=workspace))
    store = Store(folder)
    write_slots(folder, slots)
    for number in range(num_jobs):
        store.add(spec(f"job-{number:04d}", steps=steps, step_s=step_s, daemon=True, warm=warm))
    kills: Counter[str] = Counter()
    began = time.monotonic()
    runner: subprocess.Popen[bytes] | None = None
    while store.has_work() or store.due_again():
        if runner is None or runner.poll() is not None:
            runner, changed = start_runner(workspace), _num_moves(store)
        if kills.total() < num_kills:
            role = chance.choice(_WARM_ROLES if warm else _ROLES)
            if role == "server":
                kills[role] += _kill(_server(workspace))
            elif role != "runner":
                kills[role] += _kill(_one_of(store, role, chance))
            elif _num_moves(store) > changed or chance.random() < _KILLED_AT_ITS_START:
                kills[role] += _kill(runner.pid)
        time.sleep(chance.uniform(0, 0.05))
    if runner is not None:
        runner.wait()
    return KillTrial(
        kills=kills,
        seconds=time.monotonic() - began,
        succeeded=store.counts().get(JobState.SUCCEEDED, 0),
        wrong=_wrong(store, steps),
    )


def start_runner(workspace: Path) -> subprocess.Popen[bytes]:
    """Start a runner whose jobs are the substitute."""
    with (workspace / ".tunelab" / "runner.log").open("ab") as log:
        command = [sys.executable, "-P", "-m", "jobs_trial.runner", str(workspace)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _num_moves(store: Store) -> int:
    ((count,),) = store.database.read("SELECT count(*) FROM moves")
    return int(count)


def _one_of(store: Store, role: str, chance: random.Random) -> int | None:
    running = store.jobs([JobState.STARTING, JobState.RUNNING])
    if not running:
        return None
    job = chance.choice(running)
    folder = store.folder.job(job.id)
    with suppress(OSError, ValueError):  # it has not begun
        pids = json.loads((folder.attempt(job.attempt) / "began.json").read_text())
        pid = int(pids["shepherd" if role == "shepherd" else "pid"])
        place = os.readlink(f"/proc/{pid}/cwd")  # else the number is another process's by now
        return pid if place == str(folder.path) else None
    return None


def _server(workspace: Path) -> int | None:
    """Return the number of the warm server, which has the folder of the jobs as its last argument."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            words = Path("/proc", number, "cmdline").read_bytes().split(b"\0")
            is_fork = MARK.encode() in Path("/proc", number, "environ").read_bytes()
            if b"jobs_trial.warm_substitute" in words and os.fsencode(workspace / ".tunelab") in words and not is_fork:
                return int(number)
    return None


def _kill(pid: int | None) -> bool:
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _wrong(store: Store, steps: int) -> list[str]:
    wrong = store.database.faults()
    right = right_state(steps)
    for job in store.jobs():
        run = store.folder.workspace.path / "runs" / job.id
        wrong += [f"{job.id}: {name}" for name in ("clash", "begun_again_after_its_end") if (run / name).exists()]
        adapter = run / "adapter" / "adapter_model.safetensors"
        if job.state is not JobState.SUCCEEDED or not adapter.exists() or adapter.read_text() != right:
            wrong.append(f"{job.id} is {job.state}, attempt {job.attempt}: {job.reason}")
        wrong += _wrong_moves(store, job)
    home = store.folder.path / "job"
    wrong += [f"process {pid} of {mark} is left" for pid, mark in marked_processes(lambda m: Path(m).parent == home)]
    return wrong


def _wrong_moves(store: Store, job: Job) -> list[str]:
    """Return the moves of a job that do not follow from each other, or are none of the table."""
    moves = store.moves(job.id)
    wrong = [f"{job.id}: {old.new}, then {new.old}" for old, new in pairwise(moves) if old.new != new.old]
    wrong += [f"{job.id}: {m.old} -> {m.new}" for m in moves[1:] if JobState(m.new) not in MOVES[JobState(m.old)]]
    if moves[-1].new != job.state or [m.attempt for m in moves] != sorted(m.attempt for m in moves):
        wrong.append(f"{job.id}: its moves do not lead to {job.state}")
    return wrong
