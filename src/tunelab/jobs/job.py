"""A job: what is to be done (written once), where it is (a row that changes), and each change of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunelab.errors import TRY_AGAIN
from tunelab.jobs.state import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What is to be done. Written once, when the job is submitted, and never changed."""

    id: str
    """Name of the job's folder and of its run."""
    key: str
    """Two submissions with the same key are one job."""
    recipe: str
    """The resolved recipe, as YAML; names of files start from the job's folder."""
    priority: int = 0
    """The highest starts first."""
    timeout_s: float | None = None
    """Longest time of one attempt; None for no limit."""
    grace_s: float = 120
    """What a stopped attempt is given to save, before it is killed."""
    retries: int = 3
    """Attempts after the first one that are begun without being asked for."""
    stall_timeout_s: float | None = None
    """An attempt without an event for so long is ended, with exit code 75; None for no limit."""
    gpus: int = 0
    """How many it gets."""
    gpu_bytes: int = 0
    """Memory that it is expected to hold on each of them; 0 if that is not known: it has them to itself."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Name of a variable that the worker gets -> the file that holds its value."""
    warm: bool = False
    """Forked from a process that has loaded what a run loads, if that can be; else started as any other."""
    submitted: float
    """Unix time, for people to read: nothing is decided by it but the order of jobs of equal priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where a job is: a row of the database as it was read."""

    id: str
    key: str
    state: JobState
    attempt: int
    """Number of the current or last attempt, from 1."""
    max_attempt: int
    """The last attempt that is begun without being asked for."""
    priority: int
    submitted: float
    changed: float
    """Unix time of the last move."""
    code: int | None
    """Exit code of the last attempt that ended; None if there is none."""
    reason: str
    """Why it is in this state, in words."""

    @property
    def is_due_again(self) -> bool:
        """Whether its next attempt begins by itself: it was lost, out of time, or ended with `TRY_AGAIN`."""
        ended_so = self.state in (JobState.LOST, JobState.TIMED_OUT) or (
            self.state is JobState.FAILED and self.code == TRY_AGAIN
        )
        return ended_so and self.attempt < self.max_attempt

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and no other attempt begins by itself."""
        return self.state.is_end and not self.is_due_again


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a job's state."""

    id: str
    attempt: int
    """The attempt after the move."""
    old: str
    """Empty for the first one."""
    new: str
    time: float
    reason: str
