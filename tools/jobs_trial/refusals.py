"""Let the disk refuse a write of submit, claim and finish, one after the other, and see that no job is lost by it.

strace makes the system refuse one call, and another run each next one that touches the jobs' folder. Whoever meets it
ends with one message; afterwards the same command goes through, and the job is done once.

    python -P -m jobs_trial.refusals STEP WORKSPACE      # one step, in a process to be traced
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs_trial.kills import spec
from jobs_trial.runner import SUBSTITUTE
from tunelab.errors import UserError
from tunelab.jobs import shepherd
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import Runner
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

STEPS = ("submit", "claim", "finish", "shepherd")
ERRORS = ("ENOSPC", "EROFS", "EIO")
_CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "ftruncate", "unlink")
_PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """What came of the calls that were refused in a step."""

    num_refused: int
    wrong: list[str]
    """Each thing that must not be."""


def refusals(folder: Path, step: str, error: str, *, every: int = 1) -> Refusals:
    """Refuse every n-th call of a step that touches the jobs' folder, each in a workspace of its own."""
    before = folder / f"before-{step}"
    if not before.exists():
        _prepare(before, step)
    calls = _calls(folder, before, step)
    wrong = []
    for number, (call, count) in enumerate(calls[::every]):
        workspace = folder / f"{step}-{error}-{number}"
        _copy(before, workspace)
        inject = f"inject={call}:error={error}:when={count}"
        done = _traced(workspace, step, "-e", inject, "-o", os.devnull)
        wrong += [f"{step}, {call} {count}, {error}: {each}" for each in _faults(workspace, step, done)]
        shutil.rmtree(workspace)
    return Refusals(num_refused=len(calls[::every]), wrong=wrong)


def _prepare(workspace: Path, step: str) -> None:
    """Make a workspace in which a step comes next."""
    store = _store(workspace)
    if step != "submit":
        store.add(spec("job", steps=2))
    if step == "finish":
        place = _place(store)
        Runner(store, place).tick()
        _reap(place)
    if step == "shepherd":
        (started,) = store.jobs()
        assert store.move(started, JobState.STARTING)
        files = store.folder.job("job").attempt(1)
        files.mkdir()
        command = [*SUBSTITUTE, "train", "recipe.yaml", "--run", "job"]
        start: dict[str, object] = {"command": command, "cwd": ".", "variables": {}, "timeout_s": None, "grace_s": 1}
        (files / "start.json").write_text(json.dumps(start))
        store.folder.job("job").recipe_file.write_text(store.spec("job").recipe)
    store.close()


def _copy(before: Path, workspace: Path) -> None:
    """Make a workspace like another one, which does not count as a copy: its jobs may begin."""
    shutil.copytree(before, workspace)
    _store_folder(workspace).sign()


def _calls(folder: Path, before: Path, step: str) -> list[tuple[str, int]]:
    """Return the calls of a step that touch the jobs' folder and may change it: name, and its how manieth it is."""
    workspace = folder / f"traced-{step}"
    _copy(before, workspace)
    trace = folder / "trace"
    _traced(workspace, step, "-y", "-o", str(trace))
    counts: Counter[str] = Counter()
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        name = line.partition("(")[0]
        if name in _CALLS:
            counts[name] += 1
            reads = name == "openat" and not re.search(r"O_(CREAT|RDWR|WRONLY)", line)
            if f"{workspace}/" in line and not reads:
                found.append((name, counts[name]))
    shutil.rmtree(workspace)
    assert found
    return found


def _traced(workspace: Path, step: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "jobs_trial.refusals", step, str(workspace)]
    if step == "shepherd":
        command = [sys.executable, "-I", "-S", shepherd.__file__, str(_store_folder(workspace).job("job").path), "1"]
    calls = ["-e", f"trace={','.join(_CALLS)}"]
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    where = _store_folder(workspace).job("job").path if step == "shepherd" else workspace
    return subprocess.run(
        ["strace", "-qq", *calls, *options, *command],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _faults(workspace: Path, step: str, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    """Yield what is wrong after a refused call, and once the disk is well again."""
    is_named = f"{workspace}/" in done.stderr  # else Python itself met it: its own calls are not always as many
    if step != "shepherd" and is_named and (done.returncode not in (0, 2) or "Traceback" in done.stderr):
        yield f"ended with {done.returncode}: {done.stderr[-300:]}"
    store = _store(workspace)
    store.add(spec("job", steps=2))
    place = _place(store)
    runner, last = Runner(store, place), time.monotonic() + _PATIENCE_S
    while store.needs_runner() and time.monotonic() < last:
        runner.tick()
        time.sleep(0.01)
    (job, *more) = store.jobs()
    if more or job.state is not JobState.SUCCEEDED:
        yield f"{len(more) + 1} jobs, the first {job.state}: {job.reason}"
    run = workspace / "runs" / "job"
    if (run / "clash").exists():
        yield "two processes in one run"
    yield from store.database.faults()
    _reap(place)
    store.close()


def _reap(place: LocalJobs) -> None:
    for each in place._children:
        each.wait()


def _store_folder(workspace: Path) -> JobsFolder:
    return JobsFolder(workspace=Workspace(path=workspace))


def _store(workspace: Path) -> Store:
    workspace.mkdir(exist_ok=True)
    return Store(_store_folder(workspace))


def _place(store: Store) -> LocalJobs:
    return LocalJobs(store.folder, program=SUBSTITUTE)


def main() -> int:
    """Do a step and return the exit code."""
    try:
        store = _store(Path(sys.argv[2]))
        if sys.argv[1] == "submit":
            store.add(spec("job", steps=2))
        else:
            Runner(store, _place(store)).tick()
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a shepherd that runs on is no fault here
