"""Where the service of a workspace is: `.tunelab/service.json`, and the lock that says whether it still runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tunelab.errors import RunError
from tunelab.files import write_file
from tunelab.jobs.job_folder import JobsFolder, held, is_in_place

_LONGEST_LOCK_WAIT_S = 1.0
_LOOK_S = 0.05


def service_file(folder: JobsFolder) -> Path:
    """Return the file that holds address and token while a service runs."""
    return folder.path / "service.json"


@contextmanager
def only_service(folder: JobsFolder) -> Iterator[Callable[[], bool]]:
    """Be the one service of a workspace, and yield what says whether that is still where it was.

    The file that says where the service is goes with it. One of a service that was killed is known by the lock, which
    nobody holds: the next one writes it anew.

    Raises:
        RunError: there is one.
    """
    last = time.monotonic() + _LONGEST_LOCK_WAIT_S
    while True:  # a program that looks whether one runs holds the lock for an instant
        with held(file := folder.path / "service.lock") as lock:
            if lock is not None:
                try:
                    yield partial(is_in_place, file, lock)
                finally:
                    service_file(folder).unlink(missing_ok=True)
                return
        if time.monotonic() >= last:
            raise RunError(
                f"a service of this workspace runs already{_place(folder)}",
                where=str(folder.workspace.path),
                remedy="Use it, or end it first.",
            )
        time.sleep(_LOOK_S)


def publish(folder: JobsFolder, *, address: str, token: str) -> None:
    """Write where the service is and what callers must know, for this user alone."""
    write_file(service_file(folder), json.dumps({"address": address, "token": token}) + "\n", private=True)


def _place(folder: JobsFolder) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):  # not written yet
        return f" at {json.loads(service_file(folder).read_bytes())['address']}"
    return ""
