"""`tunelab run --model ID --workflow NAME`: a workflow of the workspace as a job, followed to its end."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import SET, named, this_command
from tunelab.cli.job_log import JobLog, ended, exit_code, log_file_of, print_editor_link
from tunelab.cli.job_places import HERE, refuse_other_places
from tunelab.cli.jobs_here import bring_up_to_date
from tunelab.errors import RunError
from tunelab.jobs.job import Job
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Run
from tunelab.workspace.history import HistoryEntry, new_entry
from tunelab.workspace.projects import Workflow, find_project, workspace_around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunelab.jobs.job import JobSpec
    from tunelab.workspace import Workspace


def command(
    model: Annotated[str, typer.Option(metavar="ID", help="The model of a project, as tunelab models --local lists.")],
    workflow: Annotated[str, typer.Option(metavar="WORKFLOW", help="One of its workflows, such as LoRA.")],
    overrides: Annotated[list[str] | None, SET] = None,
    *,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the history calls it. Default: the workflow and the time."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Longest time of an attempt, such as 90s, 30m, 6h.")
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="PLACE", help="Where it runs: local, this machine.")] = HERE,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; the job goes on.")] = False,
) -> None:
    """Run a workflow of a project as a job, and print its log with the time of each line until it ends.

    Ctrl+C asks it to save and stop; a second one ends it at once. The same line with the same name goes on with it. The
    exit code is that of the job: 0 if its run is whole.
    """
    from tunelab.jobs.submit import seconds_of

    refuse_other_places(runtime, option="--runtime")
    timeout_s = seconds_of(timeout, where="--timeout") if timeout is not None else None
    workspace = workspace_around(Path.cwd())
    chosen = find_project(workspace, model).workflow(workflow)
    entry = new_entry(chosen.recipe_file.parent.parent, chosen.name, name)
    submission = _submitted(workspace, chosen, entry, overrides or (), timeout_s)
    store, job = submission.store, submission.job
    print(f"Job {job.id} is {job.state}; in the history: {named(entry.path)}")
    print_editor_link(log_file_of(store, job))
    if detach:
        print(f"Next     {this_command()} jobs logs -f {job.id}")
        return
    raise typer.Exit(_follow(submission))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """A job in the queue, or one that was there before."""

    store: Store
    job: Job
    log_end: int = 0
    """Where the log ends of what it did before."""


def _submitted(
    workspace: Workspace, workflow: Workflow, entry: HistoryEntry, overrides: Sequence[str], timeout_s: float | None
) -> _Submission:
    """Return the job of an entry of the history: a new one, or the one that it had, which goes on if it has ended."""
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.submit import retry, submit

    store = spec = None
    try:
        store = Store(JobsFolder(workspace=workspace))
        spec = _spec(store, workflow, entry, overrides, timeout_s)
        LocalJobs(store.folder).plan(spec)
        entry.point_to(spec.id)
        job, is_new = submit(store, spec)
    except BaseException:  # Ctrl+C, too
        if store is None or spec is None or store.with_key(spec.key) is None:  # it is not a job yet
            entry.take_back()
        raise
    log = JobLog(store=store, job_id=job.id)
    if not is_new and job.state.is_end:
        log.skip()
        job = job if job.state is JobState.SUCCEEDED else retry(store, job)
    if store.spec(job.id).timeout_s != spec.timeout_s:
        print(f"Note     job {job.id} keeps the --timeout that it was submitted with.")
    bring_up_to_date(store)
    return _Submission(store=store, job=store.get(job.id), log_end=log.end)


def _spec(
    store: Store, workflow: Workflow, entry: HistoryEntry, overrides: Sequence[str], timeout_s: float | None
) -> JobSpec:
    """Return what an entry of the history is to do; its job is known by the entry's place.

    A job that ended before its run began, as one that the checks refused, gives its place to one with other settings.
    """
    from tunelab.flows.training.gpu_memory import expected_gpu_bytes
    from tunelab.jobs.submit import id_of, spec_of
    from tunelab.recipes import resolve_recipe

    name = entry.name.lower()
    place = entry.path.relative_to(store.folder.workspace.path).as_posix().lower()
    for number in count(1):
        key = f"history {place}{f' {number}' if number > 1 else ''}"
        run = Run(path=store.folder.workspace.runs_folder / id_of(name, key))
        resolved = resolve_recipe(workflow.recipe_file, overrides=overrides, run_folder=run.path)
        spec = spec_of(resolved, store.folder, name=name, key=key, timeout_s=timeout_s, gpu_bytes_of=expected_gpu_bytes)
        job = store.with_key(key)
        if job is None or store.spec(job.id).recipe == spec.recipe:
            return spec
        if run.exists or not job.state.is_end:
            what = f"{entry.name} was run before with other settings: job {job.id}"
            raise RunError(what, where=str(entry.path), remedy="Give another --name, or leave it out.")
    raise AssertionError("count() has no end")


def _follow(submission: _Submission) -> int:
    """Print the log until the job has ended and return the exit code; Ctrl+C stops the job, not this command."""
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.submit import cancel

    store, job = submission.store, submission.job
    log, interrupts = JobLog(store=store, job_id=job.id, end=submission.log_end), 0
    while True:
        try:
            if interrupts:
                words = "saves and stops; Ctrl+C once more ends it at once" if interrupts == 1 else "is ended at once"
                print(f"\nJob {job.id} {words}.", file=sys.stderr, flush=True)
                cancel(store, LocalJobs(store.folder), store.get(job.id), now=interrupts > 1)
            job = log.follow()
            break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                raise KeyboardInterrupt(f"see {this_command()} jobs show {job.id}") from None
    print(f"Job {job.id} {ended(job)}.", file=sys.stderr)
    _print_next(store, job)
    return exit_code(job, interrupted=interrupts > 0)


def _print_next(store: Store, job: Job) -> None:
    run = Run(path=store.folder.workspace.runs_folder / job.id)
    if job.state is JobState.SUCCEEDED:
        following = f"{this_command()} chat {named(run.path)}"
    elif run.exists:
        following = f"{this_command()} jobs retry {job.id}"
    else:
        following = "change what the log names, and give the same line again"
    print(f"Next     {following}", file=sys.stderr)
    print_editor_link(run.trainer_state_file if job.state is JobState.SUCCEEDED else log_file_of(store, job))
