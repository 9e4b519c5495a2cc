"""`tunelab jobs list`, which scripts and editors call again and again: it imports neither typer nor pydantic."""

from __future__ import annotations

from tunelab.cli.jobs_here import reason_of, store_here, when
from tunelab.cli.plain_text import named, print_document
from tunelab.errors import counted
from tunelab.jobs.state import JobState

_LISTED = 50


def quick_list(arguments: list[str]) -> bool:
    """List jobs as the arguments say, and return true; false, and nothing done, if they are for typer to judge."""
    as_json, state, rest = False, None, iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if argument == "--json":
            as_json = True
        elif name == "--state" and (value := value or next(rest, "")) in list(JobState):
            state = JobState(value)
        else:
            return False
    list_jobs(state, as_json=as_json)
    return True


def list_jobs(state: JobState | None, *, as_json: bool) -> None:
    """Print the jobs around the current folder, the latest first; only those in a state if one is given."""
    store = store_here()
    states = [state] if state is not None else []
    if as_json:
        print_document(store.rows_as_json(states))
        return
    jobs = store.jobs(states, limit=_LISTED)
    if not jobs:
        print(f"There is no {f'{state} ' if state else ''}job in {named(store.folder.path)}.")
        return
    width = max(len(job.id) for job in jobs)
    for job in jobs:
        attempt = f"attempt {job.attempt}" if job.attempt > 1 else ""
        print(f"{job.id:<{width}}  {job.state:<10}  {when(job.submitted)}  {attempt:<10}  {reason_of(job)}".rstrip())
    counts = store.counts()
    total = counts.get(state, 0) if state is not None else sum(counts.values())
    if total > len(jobs):
        print(f"… {counted(total - len(jobs), 'older job')}; --json lists all.")
