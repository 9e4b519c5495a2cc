"""A job's log as it is printed and followed, and what the end of the job means for a command that waited for it."""

from __future__ import annotations

import codecs
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tunelab.cli.jobs_here import bring_up_to_date, reason_of
from tunelab.cli.plain_text import harmless
from tunelab.errors import TRY_AGAIN
from tunelab.jobs.shepherd_log import log_file
from tunelab.jobs.state import JobState

if TYPE_CHECKING:
    from tunelab.jobs.job import Job
    from tunelab.jobs.store import Store

_LOOK_S = 0.2
_INTERRUPTED, _TERMINATED = 130, 143


@dataclass(slots=True, kw_only=True)
class JobLog:
    """The log of a job, printed as far as it was written."""

    store: Store
    job_id: str
    end: int = 0
    """The byte that is printed next."""

    def print_news(self, *, is_all: bool = False) -> None:
        """Print what was written since; a character that is not whole yet only if nothing follows (`is_all`)."""
        from tunelab.jobs.local import LocalJobs

        local = LocalJobs(self.store.folder)
        while (part := local.logs(self.job_id, self.end)).data:
            if part.start > self.end:
                print(f"Bytes {self.end:,} to {part.start:,} of the log are deleted.", file=sys.stderr)
            text, num_bytes = codecs.utf_8_decode(part.data, "replace", is_all)
            if not num_bytes:  # the rest of a character is not written yet
                return
            print(harmless(text), end="", flush=True)
            self.end = part.start + num_bytes

    def follow(self) -> Job:
        """Print it until the job has ended, and return the job."""
        while True:
            job = self.store.get(self.job_id)
            self.print_news(is_all=job.is_over)  # after the look at the job: what it wrote before its end is there
            if job.is_over:
                return job
            time.sleep(_LOOK_S)
            bring_up_to_date(self.store)

    def skip(self) -> None:
        """Leave out what was written so far."""
        from tunelab.jobs.local import LocalJobs

        local = LocalJobs(self.store.folder)
        while (part := local.logs(self.job_id, self.end)).data:
            self.end = part.end


def ended(job: Job) -> str:
    """Return how a job ended, in words."""
    return f"{job.state}{f': {reason_of(job)}' if job.reason else ''}".replace("_", " ")


def exit_code(job: Job, *, interrupted: bool = False) -> int:
    """Return what a command ends with that is as good as the job: docs/reference/exit-codes.md.

    Args:
        job: one that has ended.
        interrupted: whether this command was the one that stopped it, by Ctrl+C.
    """
    if job.state is JobState.SUCCEEDED:
        # its run is whole, whatever ended its process after that; but a comparison that was asked for may have failed
        return job.code if job.code in (1, 2) else 0
    if job.state is JobState.LOST:
        return TRY_AGAIN
    if job.state is JobState.CANCELLED:
        return _INTERRUPTED if interrupted else _TERMINATED
    return job.code or 1


def log_file_of(store: Store, job: Job) -> Path:
    """Return the file that the log of a job goes on in, or will begin with."""
    folder = store.folder.job(job.id).path
    return max(folder.glob("log-*"), default=Path(log_file(str(folder), 0)))


def print_editor_link(file: Path) -> None:
    """Print a link that opens a file in VS Code, if this is its terminal; it names the job, and holds no token."""
    if os.environ.get("TERM_PROGRAM") == "vscode":
        distribution = os.environ.get("WSL_DISTRO_NAME")
        place = f"vscode-remote/wsl+{quote(distribution)}" if distribution else "file"
        print(f"Open     vscode://{place}{quote(str(file.absolute()))}")
