"""The state machine of a job, as a table. Every change of a state is a row of it.

    queued      → starting, cancelled
    starting    → running, cancelling, queued
    running     → succeeded, failed, timed_out, lost, cancelling
    cancelling  → cancelled, failed, succeeded
    any end     → queued

A job is back in the queue from `starting` if the runner died before it was begun, and from an end with the next
attempt: by itself if it was lost, out of time or ended with exit code 75 and attempts are left, else if a user asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    STARTING = "starting"
    """The runner has taken it; its process is not seen yet."""
    RUNNING = "running"
    CANCELLING = "cancelling"
    """Asked to save and stop."""
    SUCCEEDED = "succeeded"
    """The manifest of its run is there and the hashes in it hold."""
    FAILED = "failed"
    """It ended by itself, and its run is not whole."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its process, or the machine, is gone without an exit code."""

    @property
    def is_end(self) -> bool:
        """Whether nothing of the job runs or will run by itself."""
        return self in ENDS


_S = JobState
ENDS = frozenset({_S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.CANCELLED, _S.LOST})
BEGUN = (_S.STARTING, _S.RUNNING, _S.CANCELLING)
"""The states in which a process may be there."""

MOVES: Mapping[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.CANCELLED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.CANCELLING, _S.QUEUED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.LOST, _S.CANCELLING}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.FAILED, _S.SUCCEEDED}),
    **dict.fromkeys(ENDS, frozenset({_S.QUEUED})),
}
"""State -> the states that may follow it."""


def next_attempt(old: JobState, new: JobState, attempt: int) -> int:
    """Return the number of the attempt after a move: an end that is queued again begins the next one."""
    return attempt + 1 if old.is_end and new is _S.QUEUED else attempt
