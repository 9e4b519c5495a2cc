"""`tunelab jobs …`: runs that outlive the terminal; submitted, listed, followed, cancelled, begun again."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import harmless, named, plain_app, print_document, this_command
from tunelab.cli.job_log import JobLog, ended
from tunelab.cli.jobs_here import bring_up_to_date, reason_of, store_here, when
from tunelab.cli.jobs_list import list_jobs
from tunelab.cli.jobs_submit import submit_command
from tunelab.errors import RunError, counted, listed
from tunelab.jobs.job import Job
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import BEGUN, JobState
from tunelab.jobs.store import Store
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.jobs.local import LocalJobs

command = plain_app(help="Runs that outlive the terminal: submit, follow, cancel, retry.", no_args_is_help=True)

_ID = typer.Argument(metavar="ID", hidden=True)
_JSON = typer.Option("--json", help="Print JSON instead.")
_LOOK_S = 0.2

command.command("submit")(submit_command)


@command.command("list")
def list_command(
    state: Annotated[JobState | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List the jobs of this workspace, the latest first."""
    list_jobs(state, as_json=as_json)


@command.command("show")
def show_command(job_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """Show where a job is and what it went through.

    ID is a job's id, or the beginning of one.
    """
    store = store_here()
    job = store.find(job_id)
    run = store.folder.workspace.path / "runs" / job.id
    recipe = store.folder.job(job.id).recipe_file
    moves = store.moves(job.id)
    if as_json:
        document = {**asdict(job), "run": str(run), "moves": [asdict(move) for move in moves]}
        print_document(json.dumps(document))
        return
    print(f"Job      {job.id}\nState    {job.state}{f' ({reason_of(job)})' if job.reason else ''}")
    print(f"Attempt  {job.attempt} of up to {job.max_attempt}\nRun      {named(run)}")
    if recipe.exists():  # else it has not begun
        print(f"By hand  {this_command()} train {named(recipe)} --run {job.id}")
    if (stack := store.folder.job(job.id).stack_file(job.attempt)).exists():
        print(f"Stack    where it stalled, by py-spy:\n{harmless(stack.read_text())}")
    for move in moves:
        change = f"{move.old} → {move.new}" if move.old else move.new
        print(f"  {when(move.time)}  attempt {move.attempt}  {change}  {harmless(move.reason)}".rstrip())


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
    store = store_here()
    log = JobLog(store=store, job_id=store.find(job_id).id, end=since)
    try:
        if not follow:
            log.print_news(is_all=True)
            return
        job = log.follow()
    except KeyboardInterrupt:
        go_on = f"{this_command()} jobs logs -f {log.job_id} --since {log.end}"
        raise KeyboardInterrupt(f"the job goes on. Its log from here: {go_on}") from None
    print(f"Job {job.id} {ended(job)}.", file=sys.stderr)


@command.command("cancel")
def cancel_command(
    job_id: Annotated[str | None, _ID] = None,
    now: Annotated[
        bool, typer.Option("--now", help="End it at once; what it did since its last save is lost.")
    ] = False,
) -> None:
    """Ask a job to save and stop.

    ID is a job's id, or the beginning of one; without it, the one that runs. A job that is cancelled can be begun again
    where it was saved: retry.
    """
    from tunelab.jobs.submit import cancel

    store = store_here()
    job = store.find(job_id) if job_id is not None else _only_job(store)
    if job is None:
        print("No job runs here, and none is queued.")
        return
    if job.is_over:
        print(f"Job {job.id} has ended already: {job.state}.")
        return
    job = cancel(store, _local(store), job, now=now)
    bring_up_to_date(store)
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

    store = store_here()
    job = retry(store, store.find(job_id))
    bring_up_to_date(store)
    print(f"Job {job.id} is queued again: attempt {job.attempt}.")


@command.command("wait")
def wait_command(job_ids: Annotated[list[str], typer.Argument(metavar="ID...", hidden=True)]) -> None:
    """Wait until jobs have ended.

    ID is a job's id, or the beginning of one. The exit code is 1 if one of them did not succeed.
    """
    store = store_here()
    ids = dict.fromkeys(store.find(job_id).id for job_id in job_ids)
    failed = False
    for job_id in ids:
        while not (job := store.get(job_id)).is_over:
            time.sleep(_LOOK_S)
            bring_up_to_date(store)
        print(f"Job {job.id} {ended(job)}.", flush=True)
        failed = failed or job.state is not JobState.SUCCEEDED
    if failed:
        raise typer.Exit(1)


@command.command("slots")
def slots_command(
    slots: Annotated[int | None, typer.Argument(metavar="N", min=1, max=1_000, hidden=True)] = None,
) -> None:
    """Show how many jobs run at once, or let N run at once.

    It counts at once and stays. Each job computes with its share of the cores, unless OMP_NUM_THREADS is set.
    """
    from tunelab.jobs.slots import read_slots, write_slots

    folder = JobsFolder(workspace=find_workspace(Path.cwd()))
    if slots is not None:
        write_slots(folder, slots)
        bring_up_to_date(Store(folder))
    print(f"{counted(read_slots(folder), 'job')} at a time.")


@command.command("doctor")
def doctor_command(as_json: Annotated[bool, _JSON] = False) -> None:
    """Find what is wrong with the jobs here, and put it right.

    The exit code is 1 if something is left that a person must look at.
    """
    from tunelab.jobs.doctor import examine

    findings = examine(store_here(looks=False))
    if as_json:
        print_document(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(harmless(f"{finding.found}: {finding.did}" if finding.did else f"{finding.found} Nothing was done."))
        print(f"{counted(len(findings), 'finding')}." if findings else "Nothing is wrong.")
    if any(not finding.did for finding in findings):
        raise typer.Exit(1)


@command.command("serve")
def serve_command(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, metavar="PORT", help="Default: 12432, or the next that is free. 0: any."),
    ] = None,
) -> None:
    """Offer the jobs of this workspace over HTTP, to programs of this machine, until Ctrl+C.

    They need the token that lies in .tunelab/service.json as long as the service runs. /openapi.json describes it.
    """
    from tunelab.flows.training.gpu_memory import expected_gpu_bytes
    from tunelab.jobs.service.http_server import serve
    from tunelab.jobs.service.service_file import service_file

    folder = JobsFolder(workspace=find_workspace(Path.cwd()))

    def say_address(address: str) -> None:
        print(f"Address  {address}\nToken    in {named(service_file(folder))}, as long as the service runs")
        print("Ctrl+C ends the service; jobs go on.", flush=True)

    try:
        serve(folder, port=port, say_address=say_address, gpu_bytes_of=expected_gpu_bytes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the service has ended; jobs go on") from None


def _only_job(store: Store) -> Job | None:
    """Return the job that runs, or else the one in the queue; None if there is none.

    Raises:
        RunError: there are several.
    """
    jobs = store.jobs(BEGUN) or store.jobs([JobState.QUEUED])
    if len(jobs) > 1:
        ids = listed(job.id for job in jobs)
        remedy = f"Give one: {this_command()} jobs cancel ID"
        raise RunError(f"{len(jobs)} jobs are {jobs[0].state}", expected=f"the id of one of them: {ids}", remedy=remedy)
    return jobs[0] if jobs else None


def _local(store: Store) -> LocalJobs:
    from tunelab.jobs.local import LocalJobs

    return LocalJobs(store.folder)
