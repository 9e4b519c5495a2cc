"""What a place that runs attempts of jobs must offer. The runner moves jobs by what a place says, by nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunelab.jobs import ranks
from tunelab.jobs.job import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempt:
    """One try of a job, which a place runs at most once."""

    spec: JobSpec
    number: int
    """From 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a place says of an attempt that it knows."""

    is_running: bool
    """False once nothing of the attempt is left, its children included."""
    code: int | None = None
    """The exit code, 128 + n after signal n; None while it runs, and if it is gone without one."""
    timed_out: bool = False
    stalled: bool = False
    """Whether it was ended because no event came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Some bytes of a job's log."""

    data: bytes
    start: int
    """The offset of the first byte in the whole log; above the one asked for if what came before is deleted."""

    @property
    def end(self) -> int:
        """The offset to ask for next."""
        return self.start + len(self.data)


class JobBackend(Protocol):
    """A place that runs attempts: this machine, a thread in a test, later a cluster."""

    def plan(self, spec: JobSpec) -> str:
        """Return in a sentence where and how a job would run.

        Raises:
            UserError: it cannot run there.
        """
        ...

    def has_room(self, spec: JobSpec) -> bool:
        """Return whether there is room for a job now, next to those that run."""
        ...

    def submit(self, attempt: JobAttempt) -> None:
        """Begin an attempt, unless it is known here: after a lost answer it is simply called again.

        An attempt that was asked to stop before is not begun.
        """
        ...

    def find(self, attempt: JobAttempt) -> bool:
        """Return whether the place knows this attempt."""
        ...

    def state(self, attempt: JobAttempt) -> Sighting:
        """Return what the place knows of an attempt that it knows."""
        ...

    def logs(self, job_id: str, since: int = 0) -> LogPart:
        """Return the log of a job from a byte on, as much as is there; an empty part at its end."""
        ...

    def cancel(self, attempt: JobAttempt, *, now: bool = False) -> None:
        """Ask an attempt to save and stop, or end it at once; whether it has begun or not."""
        ...

    def was_stopped(self, attempt: JobAttempt) -> bool:
        """Return whether `cancel` was called for an attempt."""
        ...

    def end_stalled(self, attempt: JobAttempt) -> None:
        """Ask an attempt from which no event comes to save and stop; its exit code is 75 then, unless it is 0."""
        ...

    def stack(self, attempt: JobAttempt) -> str:
        """Return where the attempt is in its code; empty if the place cannot say."""
        ...

    def forget(self, spec: JobSpec) -> None:
        """Let go of what is kept for a job that will not begin again by itself, such as its secrets."""
        ...

    def fetch(self, attempt: JobAttempt) -> None:
        """Bring home what an attempt made; nothing to do if it was made here."""
        ...


def command_of(attempt: JobAttempt, program: Sequence[str], recipe: str) -> list[str]:
    """Return the command of an attempt: the same line for every one; a process for each GPU."""
    command = [*program, "train", recipe, "--run", attempt.spec.id]
    return (
        command
        if attempt.spec.gpus < 2
        else [sys.executable, "-I", "-S", ranks.__file__, str(attempt.spec.gpus), *command]
    )
