"""What the service is given and what it answers, each a record with bounds: the checks and the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from tunelab.errors import TunelabError, UserError
from tunelab.jobs.job import Job, Move
from tunelab.jobs.state import JobState

LONGEST_LIST = 10_000
_Position = Annotated[int, Meta(ge=0, lt=1 << 62)]


class _Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root of what a caller gives: a key that is not known is refused."""


class NoQuery(_Given, frozen=True, kw_only=True):
    """No parameter is taken."""


class ListQuery(_Given, frozen=True, kw_only=True):
    """Which jobs are listed, the latest first."""

    state: JobState | None = None
    limit: Annotated[int, Meta(ge=1, le=LONGEST_LIST)] = 100


class StreamQuery(_Given, frozen=True, kw_only=True):
    """Where a stream begins, unless the header Last-Event-ID says it."""

    since: _Position = 0


class CurvesQuery(_Given, frozen=True, kw_only=True):
    """How wide the picture is that curves are for."""

    columns: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """At most two points a column are given: the lowest and the highest."""


class Submission(_Given, frozen=True, kw_only=True):
    """A recipe to submit as a job."""

    recipe: Annotated[str, Meta(min_length=1, max_length=1_000)]
    """Name of its file, from the folder of the workspace on, such as lora/task.yaml."""
    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,59}$")] | None = None
    """How the id begins; the recipe's name if left out."""
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The same key is the same job; made of recipe and name if left out."""
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    timeout_s: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = None
    stall_timeout_s: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = None
    retries: Annotated[int, Meta(ge=0, le=1_000_000)] = 3


class Cancellation(_Given, frozen=True, kw_only=True):
    """How a job is to end."""

    now: bool = False
    """At once; what it did since its last save is lost."""


class NoBody(_Given, frozen=True, kw_only=True):
    """No body, or an empty object."""


class JobList(Struct, frozen=True, kw_only=True):
    """Jobs, the latest first."""

    jobs: list[Job]
    total: int
    """How many there are in all, listed or not."""


class JobDetails(Struct, frozen=True, kw_only=True):
    """A job and what it went through."""

    job: Job
    moves: list[Move]
    """The earliest first."""


class Submitted(Struct, frozen=True, kw_only=True):
    """The job of a submission."""

    job: Job
    is_new: bool
    """False if the same was submitted before."""
    otherwise: list[str] = []
    """What was asked for and does not count: the job keeps what it was first submitted with."""


class Curve(Struct, frozen=True, kw_only=True):
    """A figure by step."""

    steps: list[int]
    values: list[float]


class Curves(Struct, frozen=True, kw_only=True):
    """The figures of a job's run; empty as long as it has none."""

    loss: Curve
    eval_loss: Curve
    learning_rate: Curve


class ErrorParts(Struct, frozen=True, kw_only=True):
    """What was seen and where, what was expected, what to do; empty where there is nothing to say."""

    what: str
    where: str = ""
    expected: str = ""
    remedy: str = ""


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """What every refusal answers."""

    error: ErrorParts


class RefusedError(TunelabError):
    """A request that is refused.

    Args:
        status: the HTTP status.
        error: what is said.
    """

    def __init__(self, status: int, error: UserError) -> None:
        super().__init__(str(error))
        self.status, self.error = status, error


def error_answer(error: UserError, *, leave_out: str = "") -> ErrorAnswer:
    """Return an error as an answer; paths in the folder `leave_out` begin there."""
    inside = re.compile(rf"(?<![^\s\"'(]){re.escape(leave_out)}/" if leave_out else "(?!)")
    what, where, expected, remedy = (
        inside.sub("", part) for part in (error.what, error.where, error.expected, error.remedy)
    )
    return ErrorAnswer(error=ErrorParts(what=what, where=where, expected=expected, remedy=remedy))
