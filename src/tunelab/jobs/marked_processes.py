"""Processes that bear a mark in their environment: children keep it through setsid and a double fork."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

MARK = "TUNELAB_JOB_FOLDER"
"""The variable that names the folder of the job a process belongs to."""
_LONGEST_END_S = 10.0
_LOOK_S = 0.01


def marked_processes(matches: Callable[[str], bool]) -> Iterator[tuple[int, str]]:
    """Yield id and mark of each process of this user, except this one, whose mark matches."""
    prefix = f"{MARK}=".encode()
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # it may end, or be another user's
            for entry in file.read().split(b"\0"):
                if entry.startswith(prefix) and matches(mark := os.fsdecode(entry[len(prefix) :])):
                    yield int(name), mark


def end_processes(folder: str) -> int:
    """Kill every process of a job, those that they start meanwhile too, and return how many there were.

    One that the system cannot end, as while it waits for a disk, is left after a few seconds: it takes no lock with it.
    """
    ended: set[int] = set()
    last = time.monotonic() + _LONGEST_END_S
    while (left := [pid for pid, _ in marked_processes(folder.__eq__)]) and time.monotonic() < last:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended.update(left)
        time.sleep(_LOOK_S)
    return len(ended)
