"""The operations of the service: the one table from which requests are routed, checked and described.

What is not a row of it does not exist. A row says what is given and answered; `guard` has seen the caller before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from tunelab.jobs.job import Job
from tunelab.jobs.service import handlers
from tunelab.jobs.service.handlers import Call, Reply
from tunelab.jobs.service.schemas import (
    Cancellation,
    Curves,
    CurvesQuery,
    JobDetails,
    JobList,
    ListQuery,
    NoBody,
    NoQuery,
    StreamQuery,
    Submission,
    Submitted,
)

JSON, TEXT, STREAM = "application/json", "text/plain; version=0.0.4; charset=utf-8", "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that the service does."""

    method: str
    path: str
    """`{id}` stands for the id of a job."""
    handler: Callable[[Call], Reply]
    """Its docstring is the summary."""
    query: type[Struct] = NoQuery
    body: type[Struct] | None = None
    """What a POST is given as JSON; None for the methods that have no body."""
    answer: type | None = None
    """The record that is answered as JSON; None for a text or a stream."""
    media_type: str = JSON
    statuses: tuple[int, ...] = (200,)
    """Of the answers that are no refusal."""
    refused: int = 422
    """The status if what is asked cannot be done."""


OPERATIONS = (
    Operation(method="GET", path="/jobs", handler=handlers.list_jobs, query=ListQuery, answer=JobList),
    Operation(
        method="POST",
        path="/jobs",
        handler=handlers.submit_job,
        body=Submission,
        answer=Submitted,
        statuses=(200, 201),
    ),
    Operation(method="GET", path="/jobs/{id}", handler=handlers.show_job, answer=JobDetails),
    Operation(
        method="POST", path="/jobs/{id}/cancel", handler=handlers.cancel_job, body=Cancellation, answer=Job, refused=409
    ),
    Operation(method="POST", path="/jobs/{id}/retry", handler=handlers.retry_job, body=NoBody, answer=Job, refused=409),
    Operation(method="GET", path="/jobs/{id}/curves", handler=handlers.curves, query=CurvesQuery, answer=Curves),
    Operation(
        method="GET",
        path="/jobs/{id}/log",
        handler=handlers.stream_log,
        query=StreamQuery,
        media_type=STREAM,
        statuses=(200, 204),
    ),
    Operation(
        method="GET",
        path="/jobs/{id}/events",
        handler=handlers.stream_events,
        query=StreamQuery,
        media_type=STREAM,
        statuses=(200, 204),
    ),
    Operation(
        method="GET",
        path="/jobs/{id}/moves",
        handler=handlers.stream_moves,
        query=StreamQuery,
        media_type=STREAM,
        statuses=(200, 204),
    ),
    Operation(method="GET", path="/metrics", handler=handlers.counts, media_type=TEXT),
)
