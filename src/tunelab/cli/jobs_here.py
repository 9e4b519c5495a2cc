"""The jobs around the current folder, as each command of `tunelab jobs` finds them and speaks of them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.cli.plain_text import harmless
from tunelab.errors import RunError, counted
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.store import Store
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.jobs.job import Job


def store_here(*, looks: bool = True) -> Store:
    """Return the jobs around the current folder, brought up to date if `looks`."""
    folder = JobsFolder(workspace=find_workspace(Path.cwd()))
    if not folder.exists:
        remedy = "Submit one with: tunelab jobs submit RECIPE; or go to the folder where you did."
        raise RunError("there are no jobs here", where=str(folder.workspace.path), remedy=remedy)
    store = Store(folder)
    if store.database.rebuilt:
        why = f"the database of the jobs was not usable ({store.database.rebuilt})"
        print(f"Note: {why} and has been made again from their folders.", file=sys.stderr)
        if num_left_out := len(folder.jobs()) - sum(store.counts().values()):
            left_out = f"{counted(num_left_out, 'folder')} that cannot be read"
            print(f"Note: left out: {left_out}; tunelab jobs doctor says why.", file=sys.stderr)
    if looks:
        bring_up_to_date(store)
    return store


def bring_up_to_date(store: Store) -> None:
    """Correct what the database says, and start a runner, if there is work and no runner."""
    if store.needs_runner():
        from tunelab.jobs.runner import ensure_runner

        ensure_runner(store)


def reason_of(job: Job) -> str:
    """Return why a job is in its state, to be printed."""
    return harmless(job.reason)


def when(unix_time: float) -> str:
    """Return a time as a person reads it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_time))
