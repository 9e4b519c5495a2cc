"""`tunelab jobs list`, which scripts and editors call again and again: it imports neither typer nor pydantic."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tunelab.cli.jobs_here import store_here, when
from tunelab.cli.plain_text import harmless, named, print_document
from tunelab.errors import counted
from tunelab.jobs.hosts import other_hosts
from tunelab.jobs.job_rows import JOB_FIELDS
from tunelab.jobs.state import JobState
from tunelab.jobs.store import listing

if TYPE_CHECKING:
    from tunelab.jobs.store import Store

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
    rows, num_all = _rows(store, states, limit=-1 if as_json else _LISTED)
    if as_json:
        print_document(json.dumps(rows))
        return
    if not rows:
        print(f"There is no {f'{state} ' if state else ''}job in {named(store.folder.path)}.")
        return
    rows = [{name: harmless(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]
    columns = ("id", "host") if any(row["host"] != rows[0]["host"] for row in rows) else ("id",)
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    for row in rows:
        names = "  ".join(f"{row[column]:<{widths[column]}}" for column in columns)
        attempt = f"attempt {row['attempt']}" if row["attempt"] > 1 else ""
        line = f"{names}  {row['state']:<10}  {when(row['submitted'])}  {attempt:<10}  {row['reason']}"
        print(line.rstrip())
    if num_all > len(rows):
        print(f"… {counted(num_all - len(rows), 'older job')}; --json lists all.")


def _rows(store: Store, states: list[JobState], *, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Return the latest jobs of every machine that has some in this workspace, and how many there are in all."""
    own = os.uname().nodename
    rows: list[dict[str, Any]] = [{"host": own, **row} for row in store.rows(states, limit=limit)]
    counts = store.counts()
    num_all = sum(counts.get(state, 0) for state in states) if states else sum(counts.values())
    query, values = listing(states, limit=-1)
    num_own = len(rows)
    for host in other_hosts(store.folder, query, *values):
        if host.rows is None:
            print(f"Note: the jobs of {host.name} cannot be read now, and are missing here.", file=sys.stderr)
            continue
        num_all += len(host.rows)
        rows += [{"host": host.name, **dict(zip(JOB_FIELDS, row, strict=True))} for row in host.rows]
    if len(rows) > num_own:
        rows.sort(key=lambda row: (-row["submitted"], row["id"]))
    return rows if limit < 0 else rows[:limit], num_all
