"""How many jobs run at once. The runner reads it at each look, so a change counts at once."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tunelab.files import write_file

if TYPE_CHECKING:
    from tunelab.jobs.job_folder import JobsFolder

MOST_SLOTS = 1_000


def read_slots(folder: JobsFolder) -> int:
    """Return how many jobs may run at once; 1 unless another number was written."""
    with suppress(OSError, ValueError):
        return min(max(int(folder.slots_file.read_bytes()), 1), MOST_SLOTS)
    return 1


def fault_of_slots(folder: JobsFolder) -> str:
    """Return what is wrong with the file that says how many jobs run at once; empty if it is well, or not there."""
    try:
        slots = int(folder.slots_file.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f"{folder.slots_file} holds no number ({error})"
    return "" if 1 <= slots <= MOST_SLOTS else f"{folder.slots_file} holds {slots}"


def write_slots(folder: JobsFolder, slots: int) -> None:
    """Let so many jobs run at once from now on; those that run already go on if there are more.

    Raises:
        StorageError: it cannot be written.
    """
    assert 1 <= slots <= MOST_SLOTS
    folder.make()
    write_file(folder.slots_file, f"{slots}\n")


def threads_of_a_job(slots: int) -> int | None:
    """Return the threads that a job computes with, so that all of them together have a core each.

    None for one job at a time: it chooses for itself, as `tunelab train` does.
    """
    return max(len(os.sched_getaffinity(0)) // slots, 1) if slots > 1 else None
