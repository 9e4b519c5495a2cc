"""What tests of the jobs share: a workspace with a store, jobs of the substitute, a runner driven to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from jobs_trial.kills import spec
from jobs_trial.runner import SUBSTITUTE
from jobs_trial.warm_substitute import WARM_SUBSTITUTE
from tunelab.files import sha256_file, write_json
from tunelab.jobs.backend import JobBackend
from tunelab.jobs.in_process import InProcessWork
from tunelab.jobs.job import Job
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import Runner
from tunelab.jobs.slots import write_slots
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

__all__ = ["finish_run", "jobs_in", "local", "run_until", "run_until_done", "spec", "store_in"]

_PATIENCE_S = 60


def jobs_in(workspace: Path) -> JobsFolder:
    return JobsFolder(workspace=Workspace(path=workspace))


def store_in(workspace: Path) -> Store:
    return Store(jobs_in(workspace))


@cache  # a place that is dropped while its processes run is warned of
def local(store: Store) -> LocalJobs:
    """The place that is this machine, with the substitute for `tunelab train`."""
    return LocalJobs(store.folder, program=SUBSTITUTE, warm=WARM_SUBSTITUTE)


def run_until(
    store: Store, backend: JobBackend, is_so: Callable[[], bool], *, slots: int = 4, ticks: bool = True
) -> None:
    """Be the runner until something is so; without `ticks`, only wait for it."""
    write_slots(store.folder, slots)
    runner = Runner(store, backend)
    last = time.monotonic() + _PATIENCE_S
    while not is_so():
        if ticks:
            runner.tick()
        assert time.monotonic() < last
        time.sleep(0.01)


def run_until_done(store: Store, backend: JobBackend, *, slots: int = 4) -> list[Job]:
    """Be the runner until nothing is left to do, and return the jobs in the order of their ids."""
    run_until(store, backend, lambda: not store.needs_runner(), slots=slots)
    return sorted(store.jobs(), key=lambda job: job.id)


def finish_run(store: Store, work: InProcessWork) -> None:
    """Leave a whole run, as `tunelab train` does."""
    run = store.folder.workspace.path / "runs" / work.attempt.spec.id
    (run / "adapter").mkdir(parents=True, exist_ok=True)
    weights = run / "adapter" / "adapter_model.safetensors"
    weights.write_text("weights")
    manifest = {
        "run_id": run.name,
        "base_model": "none",
        "template_sha256": "",
        "rendered_on": "2026-11-30",
        "files": {weights.name: sha256_file(weights)},
    }
    write_json(run / "manifest.json", manifest)
