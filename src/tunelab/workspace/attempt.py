"""Which attempt a run's folder belongs to: the newest one. An older one that still lives must write nothing more.

A lock of the operating system keeps two processes of one machine apart. It does not hold on every network disk, nor
between machines; this file does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tunelab.errors import TRY_AGAIN, RunError
from tunelab.files import write_json

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ReplacedError(RunError):
    """Another attempt has taken the run over."""

    exit_code = TRY_AGAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One process at work on a run; `attempt.json` in the run's folder names the newest."""

    job: str
    """The job that it belongs to, from TUNELAB_JOB; empty outside jobs."""
    attempt: int
    """How many there were, this one counted."""
    host: str
    boot_id: str
    """Of the machine since it was started; empty where it is not known."""
    nonce: str
    """Tells it from every other attempt."""

    def refuse_if_replaced(self, file: Path) -> None:
        """Raise a ReplacedError if `file` names another attempt by now."""
        present = read_attempt(file)
        if present is None or present.nonce != self.nonce:
            by = f"attempt {present.attempt} on {present.host}" if present else "somebody who removed attempt.json"
            remedy = "Nothing more was written here. The other one goes on with the run."
            raise ReplacedError(f"this run was taken over by {by}", where=str(file.parent), remedy=remedy)


def begin_attempt(file: Path) -> Attempt:
    """Write a new attempt to `file`, atomically, and return it."""
    before = read_attempt(file)
    attempt = Attempt(
        job=os.environ.get("TUNELAB_JOB", ""),
        attempt=before.attempt + 1 if before else 1,
        host=os.uname().nodename,
        boot_id=_boot_id(),
        nonce=os.urandom(16).hex(),
    )
    write_json(file, asdict(attempt))
    return attempt


def read_attempt(file: Path) -> Attempt | None:
    """Return the attempt that a file names; None if it names none."""
    import msgspec

    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(file.read_bytes(), type=Attempt)
    return None


def _boot_id() -> str:
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
