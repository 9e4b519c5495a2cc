"""What each operation of the service does. Plain functions that may wait for a disk: they are called in threads.

Those that change something are called one at a time: files that are written aside are named for the process alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunelab.errors import RunError, UserError
from tunelab.events import EvaluationDone, EventIndex, StepDone
from tunelab.jobs import submit
from tunelab.jobs.job import Job
from tunelab.jobs.service.recipe_name import recipe_in
from tunelab.jobs.service.schemas import (
    Curve,
    Curves,
    JobDetails,
    JobList,
    RefusedError,
    Submitted,
)
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.streams import JobStream, StreamReaders
from tunelab.jobs.service.watch import ReadPart
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Run

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_POSITION = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose caller is known and whose parts have the shape that its operation declares."""

    jobs: ServedJobs
    readers: StreamReaders
    job_id: str
    """As it was in the path; empty if there is none."""
    query: Any
    body: Any
    last_event_id: str | None
    """With which a reader of a stream comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered."""

    content: object
    """A record, sent as JSON; a text, sent as it is; a JobStream, sent as it comes; None for nothing."""
    status: int = 200


def list_jobs(call: Call) -> Reply:
    """Return jobs, the latest first."""
    with call.jobs.opened() as store:
        states = [call.query.state] if call.query.state is not None else []
        counts = store.counts()
        total = sum(counts.get(state, 0) for state in states or JobState)
        return Reply(content=JobList(jobs=store.jobs(states, limit=call.query.limit), total=total))


def submit_job(call: Call) -> Reply:
    """Submit a recipe of the workspace."""
    from tunelab.recipes import resolve_recipe

    given = call.body
    with call.jobs.opened() as store:
        recipe = resolve_recipe(recipe_in(call.jobs.folder.workspace, given.recipe))
        spec = submit.spec_of(
            recipe,
            call.jobs.folder,
            name=given.name,
            key=given.key,
            priority=given.priority,
            timeout_s=given.timeout_s,
            retries=given.retries,
            stall_timeout_s=given.stall_timeout_s,
            gpu_bytes_of=call.jobs.gpu_bytes_of,
        )
        call.jobs.local.plan(spec)
        job, is_new = submit.submit(store, spec)
        call.jobs.bring_up_to_date(store)
        otherwise = [name for name in submit.differences(spec, store.spec(job.id)) if name in given.__struct_fields__]
        answer = Submitted(job=store.get(job.id), is_new=is_new, otherwise=otherwise)
        return Reply(content=answer, status=201 if is_new else 200)


def show_job(call: Call) -> Reply:
    """Return a job and its moves."""
    with call.jobs.opened() as store:
        job = _named(store, call)
        return Reply(content=JobDetails(job=job, moves=store.moves(job.id)))


def cancel_job(call: Call) -> Reply:
    """Ask a job to save and stop; one that has ended stays as it is."""
    with call.jobs.opened() as store:
        job = submit.cancel(store, call.jobs.local, _named(store, call), now=call.body.now)
        call.jobs.bring_up_to_date(store)
        return Reply(content=store.get(job.id))


def retry_job(call: Call) -> Reply:
    """Queue an ended job again."""
    with call.jobs.opened() as store:
        job = submit.retry(store, _named(store, call))
        call.jobs.bring_up_to_date(store)
        return Reply(content=store.get(job.id))


def curves(call: Call) -> Reply:
    """Return loss and learning rate of a job's run by step."""
    with call.jobs.opened() as store:
        job = _named(store, call)
    index = EventIndex(Run(path=call.jobs.folder.workspace.path / "runs" / job.id).events_file)

    def curve(kind: type[StepDone] | type[EvaluationDone], field: str) -> Curve:
        steps, values = index.series(kind, field, columns=call.query.columns)
        return Curve(steps=steps, values=values)

    return Reply(
        content=Curves(
            loss=curve(StepDone, "loss"),
            eval_loss=curve(EvaluationDone, "eval_loss"),
            learning_rate=curve(StepDone, "learning_rate"),
        )
    )


def counts(call: Call) -> Reply:
    """Return how many jobs are in each state, as Prometheus reads it."""
    with call.jobs.opened() as store:
        found = store.counts()
    lines = [f'tunelab_jobs{{state="{state}"}} {found.get(state, 0)}' for state in JobState]
    head = ["# HELP tunelab_jobs Jobs of the workspace by state.", "# TYPE tunelab_jobs gauge"]
    return Reply(content="\n".join([*head, *lines, ""]))


def stream_log(call: Call) -> Reply:
    """Stream the log of a job."""
    return _stream(call, call.readers.log)


def stream_events(call: Call) -> Reply:
    """Stream the events of a job's run."""
    return _stream(call, call.readers.events, is_there=call.readers.has_event_at)


def stream_moves(call: Call) -> Reply:
    """Stream the changes of a job's state."""
    return _stream(call, call.readers.moves)


def _stream(call: Call, read: ReadPart, *, is_there: Callable[[Job, int], bool] | None = None) -> Reply:
    """Return a stream; nothing, which tells a reader to stay away, if it has all of a job that has ended.

    Args:
        call: the request.
        read: gives a part of the stream.
        is_there: whether the stream has a position; None asks for what comes before it.
    """
    with call.jobs.opened() as store:
        job = _named(store, call)
        has_ended = job.is_over
    position = call.query.since
    if call.last_event_id is not None:
        if not _POSITION.fullmatch(call.last_event_id):
            what = "the id of the last message is none of this service"
            raise UserError(what, where="Last-Event-ID", expected="a number, as the messages have it")
        position = int(call.last_event_id)
    if position and not (is_there(job, position) if is_there else read(job, position - 1)[0]):
        raise UserError(f"the stream has no position {position}", where=job.id, remedy="Begin again, at 0.")
    if call.last_event_id is not None and has_ended and not read(job, position)[0]:
        return Reply(content=None, status=204)
    return Reply(content=JobStream(job_id=job.id, read=read, position=position))


def _named(store: Store, call: Call) -> Job:
    """Return the job that the path names by its whole id."""
    try:
        if not _ID.fullmatch(call.job_id):
            what, expected = "this is no id of a job", "small letters, digits, dots, dashes and underscores"
            raise RunError(what, where=call.job_id, expected=expected)
        job = store.find(call.job_id)
        if job.id != call.job_id:
            raise RunError(f'there is no job "{call.job_id}"', remedy=f'Did you mean "{job.id}"?')
    except RunError as error:
        raise RefusedError(404, error) from error
    return job
