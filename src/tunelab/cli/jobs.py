"""`tunelab jobs …`: runs that outlive the terminal; submitted, listed, followed, cancelled, begun again."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import SET, harmless, named, plain_app, print_document, this_command
from tunelab.errors import RunError, counted
from tunelab.jobs.job import Job
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.jobs.local import LocalJobs

command = plain_app(help="Runs that outlive the terminal: submit, follow, cancel, retry.", no_args_is_help=True)

_ID = typer.Argument(metavar="ID", hidden=True)
_JSON = typer.Option("--json", help="Print JSON instead.")
_LISTED = 50
_LOOK_S = 0.2


@command.command("submit")
def submit_command(
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", hidden=True)] = None,
    overrides: Annotated[list[str] | None, SET] = None,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How the id begins. Default: the recipe's.")] = None,
    priority: Annotated[int, typer.Option(metavar="P", help="The highest starts first.")] = 0,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Longest time of an attempt, such as 90s, 30m, 6h.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, metavar="N", help="Further attempts if one is lost, out of time or ends with 75.")
    ] = 3,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The same key is the same job. Default: made of recipe and name."),
    ] = None,
    warm: Annotated[
        bool, typer.Option("--warm", help="Fork it from a process that has loaded torch: for many short jobs.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Submit a recipe as a job, and return at once.

    RECIPE is a YAML file; the job holds a resolved copy of it, its run has the id of the job. The same recipe under the
    same name is the same job: submitting it twice does no harm.
    """
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.submit import seconds_of, spec_of
    from tunelab.recipes import resolve_recipe

    folder = JobsFolder(workspace=find_workspace(Path.cwd()))
    timeout_s = seconds_of(timeout) if timeout is not None else None
    resolved = resolve_recipe(recipe, overrides=overrides or ())
    spec = spec_of(
        resolved, folder, name=name, key=key, priority=priority, timeout_s=timeout_s, retries=retries, warm=warm
    )
    where = LocalJobs(folder).plan(spec)
    store = Store(folder)
    job, is_new = store.add(spec)
    _bring_up_to_date(store)
    if as_json:
        print_document(json.dumps({"is_new": is_new, **asdict(store.get(job.id))}))
        return
    if is_new:
        print(f"Job {job.id} is queued; it runs {where}.")
    else:
        job = store.get(job.id)
        print(f"This recipe was submitted before: job {job.id} is {job.state}. --name NAME makes it another job.")
    following = "retry" if job.state.is_end and job.state is not JobState.SUCCEEDED else "logs -f"
    print(f"Next     {this_command()} jobs {following} {job.id}")


@command.command("list")
def list_command(
    state: Annotated[JobState | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List the jobs of this workspace, the latest first."""
    store = _store()
    states = [state] if state is not None else []
    if as_json:
        print_document(json.dumps(store.rows(states)))
        return
    jobs = store.jobs(states, limit=_LISTED)
    if not jobs:
        print(f"There is no {f'{state} ' if state else ''}job in {named(store.folder.path)}.")
        return
    width = max(len(job.id) for job in jobs)
    for job in jobs:
        attempt = f"attempt {job.attempt}" if job.attempt > 1 else ""
        print(f"{job.id:<{width}}  {job.state:<10}  {_when(job.submitted)}  {attempt:<10}  {_reason(job)}".rstrip())
    counts = store.counts()
    total = counts.get(state, 0) if state is not None else sum(counts.values())
    if total > len(jobs):
        print(f"… {counted(total - len(jobs), 'older job')}; --json lists all.")


@command.command("show")
def show_command(job_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """Show where a job is and what it went through.

    ID is a job's id, or the beginning of one.
    """
    store = _store()
    job = store.find(job_id)
    run = store.folder.workspace.path / "runs" / job.id
    recipe = store.folder.job(job.id).recipe_file
    moves = store.moves(job.id)
    if as_json:
        document = {**asdict(job), "run": str(run), "moves": [asdict(move) for move in moves]}
        print_document(json.dumps(document))
        return
    print(f"Job      {job.id}\nState    {job.state}{f' ({_reason(job)})' if job.reason else ''}")
    print(f"Attempt  {job.attempt} of up to {job.max_attempt}\nRun      {named(run)}")
    if recipe.exists():  # else it has not begun
        print(f"By hand  {this_command()} train {named(recipe)} --run {job.id}")
    for move in moves:
        change = f"{move.old} → {move.new}" if move.old else move.new
        print(f"  {_when(move.time)}  attempt {move.attempt}  {change}  {harmless(move.reason)}".rstrip())


@command.command("logs")
def logs_command(
    job_id: Annotated[str, _ID],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job ends.")] = False,
    since: Annotated[int, typer.Option(min=0, metavar="OFFSET", help="Begin at this byte of the log.")] = 0,
) -> None:
    """Print a job's log: all attempts, and the time of each line.

    ID is a job's id, or the beginning of one.
    """
    store = _store()
    job = store.find(job_id)
    try:
        since = _print_log(_local(store), job, since)
        while follow and not job.state.is_end:
            time.sleep(_LOOK_S)
            _bring_up_to_date(store)
            job = store.get(job.id)
            since = _print_log(_local(store), job, since)
    except KeyboardInterrupt:
        go_on = f"{this_command()} jobs logs -f {job.id} --since {since}"
        raise KeyboardInterrupt(f"the job goes on. Its log from here: {go_on}") from None
    if follow:
        print(f"Job {job.id} {_ended(job)}.", file=sys.stderr)


@command.command("cancel")
def cancel_command(
    job_id: Annotated[str, _ID],
    now: Annotated[
        bool, typer.Option("--now", help="End it at once; what it did since its last save is lost.")
    ] = False,
) -> None:
    """Ask a job to save and stop.

    ID is a job's id, or the beginning of one. A job that is cancelled can be begun again where it was saved: retry.
    """
    from tunelab.jobs.submit import cancel

    store = _store()
    job = store.find(job_id)
    if job.state.is_end:
        print(f"Job {job.id} has ended already: {job.state}.")
        return
    job = cancel(store, _local(store), job, now=now)
    _bring_up_to_date(store)
    if job.state is JobState.CANCELLING:
        doing = "is ended" if now else "saves and stops"
        print(f"Job {job.id} {doing}. It is over when this returns: {this_command()} jobs wait {job.id}")
    else:
        print(f"Job {job.id} is {job.state}.")


@command.command("retry")
def retry_command(job_id: Annotated[str, _ID]) -> None:
    """Queue an ended job again.

    ID is a job's id, or the beginning of one. Its run goes on where it was saved.
    """
    from tunelab.jobs.submit import retry

    store = _store()
    job = retry(store, store.find(job_id))
    _bring_up_to_date(store)
    print(f"Job {job.id} is queued again: attempt {job.attempt}.")


@command.command("wait")
def wait_command(job_ids: Annotated[list[str], typer.Argument(metavar="ID...", hidden=True)]) -> None:
    """Wait until jobs have ended.

    ID is a job's id, or the beginning of one. The exit code is 1 if one of them did not succeed.
    """
    store = _store()
    ids = dict.fromkeys(store.find(job_id).id for job_id in job_ids)
    failed = False
    for job_id in ids:
        while not (job := store.get(job_id)).state.is_end:
            time.sleep(_LOOK_S)
            _bring_up_to_date(store)
        print(f"Job {job.id} {_ended(job)}.", flush=True)
        failed = failed or job.state is not JobState.SUCCEEDED
    if failed:
        raise typer.Exit(1)


@command.command("doctor")
def doctor_command(as_json: Annotated[bool, _JSON] = False) -> None:
    """Find what is wrong with the jobs here, and put it right.

    The exit code is 1 if something is left that a person must look at.
    """
    from tunelab.jobs.doctor import examine

    findings = examine(_store(looks=False))
    if as_json:
        print_document(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(harmless(f"{finding.found}: {finding.did}" if finding.did else f"{finding.found} Nothing was done."))
        print(f"{counted(len(findings), 'finding')}." if findings else "Nothing is wrong.")
    if any(not finding.did for finding in findings):
        raise typer.Exit(1)


def _store(*, looks: bool = True) -> Store:
    """Return the jobs around the current folder, brought up to date if `looks`."""
    folder = JobsFolder(workspace=find_workspace(Path.cwd()))
    if not folder.exists:
        remedy = "Submit one with: tunelab jobs submit RECIPE; or go to the folder where you did."
        raise RunError("there are no jobs here", where=str(folder.workspace.path), remedy=remedy)
    store = Store(folder)
    if store.database.rebuilt:
        why = f"the database of the jobs was not usable ({store.database.rebuilt})"
        print(f"Note: {why} and has been made again from their folders.", file=sys.stderr)
    if looks:
        _bring_up_to_date(store)
    return store


def _bring_up_to_date(store: Store) -> None:
    if store.needs_runner():
        from tunelab.jobs.runner import ensure_runner

        ensure_runner(store)


def _local(store: Store) -> LocalJobs:
    from tunelab.jobs.local import LocalJobs

    return LocalJobs(store.folder)


def _print_log(local: LocalJobs, job: Job, since: int) -> int:
    """Print what the log holds from a byte on and return where it ends."""
    while (part := local.logs(job.id, since)).data:
        if part.start > since:
            print(f"Bytes {since:,} to {part.start:,} of the log are deleted.", file=sys.stderr)
        print(harmless(part.data.decode(errors="replace")), end="", flush=True)
        since = part.end
    return since


def _ended(job: Job) -> str:
    return f"{job.state}{f': {_reason(job)}' if job.reason else ''}".replace("_", " ")


def _reason(job: Job) -> str:
    return harmless(job.reason)


def _when(unix_time: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_time))
