"""`tunelab jobs submit`: a recipe becomes a job."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import SET, print_document, this_command
from tunelab.cli.job_log import log_file_of, print_editor_link
from tunelab.cli.job_places import HERE, refuse_other_places
from tunelab.cli.jobs_here import bring_up_to_date
from tunelab.errors import listed
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import find_workspace

_OPTIONS = {"priority": "--priority", "timeout_s": "--timeout", "stall_timeout_s": "--stall-timeout"}
_OPTIONS |= {"retries": "--retries", "gpus": "--gpus", "secrets": "--secret"}


def submit_command(
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", hidden=True)] = None,
    overrides: Annotated[list[str] | None, SET] = None,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How the id begins. Default: the recipe's.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="Where it runs: local, this machine.")] = HERE,
    priority: Annotated[
        int, typer.Option(min=-1_000_000, max=1_000_000, metavar="P", help="The highest starts first.")
    ] = 0,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Longest time of an attempt, such as 90s, 30m, 6h.")
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, metavar="N", help="Further attempts if one is lost, out of time or ends with 75."
        ),
    ] = 3,
    stall_timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End an attempt with 75 if its run has no event for so long, such as 30m."),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="GPUs, each with a process. Default: 1 if there is one to use."),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option(
            "--secret", metavar="NAME[=FILE]", help="A variable that it gets, its value in no file or log. Repeatable."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The same key is the same job. Default: made of recipe and name."),
    ] = None,
    warm: Annotated[
        bool, typer.Option("--warm", help="Fork it from a process that has loaded torch: for many short jobs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Submit a recipe as a job, and return at once.

    RECIPE is a YAML file; the job holds a resolved copy of it, its run has the id of the job. The same recipe under the
    same name is the same job: submitting it twice does no harm.
    """
    from tunelab.flows.training.gpu_memory import expected_gpu_bytes
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.submit import differences, seconds_of, spec_of, submit
    from tunelab.recipes import resolve_recipe

    refuse_other_places(to, option="--to")
    folder = JobsFolder(workspace=find_workspace(Path.cwd()))
    timeout_s = seconds_of(timeout, where="--timeout") if timeout is not None else None
    stall_timeout_s = seconds_of(stall_timeout, where="--stall-timeout") if stall_timeout is not None else None
    resolved = resolve_recipe(recipe, overrides=overrides or ())
    spec = spec_of(
        resolved,
        folder,
        name=name,
        key=key,
        priority=priority,
        timeout_s=timeout_s,
        retries=retries,
        warm=warm,
        stall_timeout_s=stall_timeout_s,
        gpus=gpus,
        secrets=secrets or (),
        gpu_bytes_of=expected_gpu_bytes,
    )
    where = LocalJobs(folder).plan(spec)
    store = Store(folder)
    job, is_new = submit(store, spec)
    bring_up_to_date(store)
    if as_json:
        print_document(json.dumps({"is_new": is_new, **asdict(store.get(job.id))}))
        return
    if is_new:
        print(f"Job {job.id} is queued; it runs {where}.")
    else:
        job = store.get(job.id)
        print(f"This recipe was submitted before: job {job.id} is {job.state}. --name NAME makes it another job.")
        if other := differences(spec, store.spec(job.id)):
            options = listed(_OPTIONS[each] for each in other)
            print(f"Note     it keeps what it was submitted with, and that is otherwise: {options}.")
    following = "retry" if job.state.is_end and job.state is not JobState.SUCCEEDED else "logs -f"
    print(f"Next     {this_command()} jobs {following} {job.id}")
    print_editor_link(log_file_of(store, job))
