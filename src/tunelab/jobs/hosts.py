"""The jobs of other machines in a workspace on a network disk: each machine has a database of its own there.

Only its own machine locks a database. The others read a copy in memory, taken while nothing was written.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.errors import RunError, StorageError
from tunelab.jobs.job_files import JobFolder
from tunelab.jobs.job_folder import HOSTS, JobsFolder, is_of_this_user
from tunelab.jobs.state import JobState

_TRIES = 20
_TRY_AGAIN_S = 0.05
_HEADER_BYTES = 100
"""Of a database file: a counter in it grows with each change."""
SERVER = "(server)"
"""Names the machine whose own disk this is, and which has its database where a workspace on its disk has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherHost:
    """What is known of another machine's jobs."""

    name: str
    rows: list[tuple[Any, ...]] | None
    """What a query found; None if the database cannot be read now."""


def other_hosts(folder: JobsFolder, query: str, *values: object) -> Iterator[OtherHost]:
    """Yield what a query finds in the database of each other machine, by name."""
    for name, file in sorted(_databases(folder).items()):
        yield OtherHost(name=name, rows=_rows(file, query, values))


def host_of(folder: JobsFolder, beginning: str) -> tuple[str, str, JobState] | None:
    """Return machine, id and state of another machine's job whose id begins so, if there is one."""
    query = "SELECT id, state FROM jobs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 1"
    for host in other_hosts(folder, query, len(beginning), beginning):
        for job_id, state in host.rows or ():
            return host.name, job_id, JobState(state)
    return None


def refuse_elsewhere(folder: JobsFolder, job_id: str) -> None:
    """Return if a job is no other machine's. The folder of a job says so, even if the database cannot be read.

    Raises:
        RunError: another machine has it.
        StorageError: the disk does not say it now.
    """
    for host, place in sorted(_places(folder).items()):
        with _looked_at(place):
            JobFolder(path=place / "job" / job_id).spec_file.lstat()
            rows = _rows(place / folder.database.name, "SELECT state FROM jobs WHERE id = ?", (job_id,))
            state = f"is {rows[0][0]}" if rows else "is in a state that cannot be read now"
            remedy = f"Look there, or give another name to make it another job: {host} goes on with this one."
            raise RunError(f"this was submitted on {host}: job {job_id} {state}", where=str(place), remedy=remedy)


def _databases(folder: JobsFolder) -> dict[str, Path]:
    files = {name: place / folder.database.name for name, place in _places(folder).items()}
    return {name: file for name, file in files.items() if file.exists()}


def _places(folder: JobsFolder) -> dict[str, Path]:
    """Return the folders of the other machines, by name."""
    places = {SERVER: folder.home}
    with _looked_at(folder.home):
        places |= {each.name: Path(each.path) for each in os.scandir(folder.home / HOSTS)}
    return {name: place for name, place in places.items() if place != folder.path and is_of_this_user(place)}


@contextmanager
def _looked_at(place: Path) -> Iterator[None]:
    """Pass over what is not there; let no other refusal of the disk look the same."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        what = f"the jobs of other machines cannot be looked at ({error.strerror})"
        remedy = "Give the same command again when the disk answers."
        raise StorageError(what, where=str(place), remedy=remedy) from error


def _rows(file: Path, query: str, values: Collection[object]) -> list[tuple[Any, ...]] | None:
    for _ in range(_TRIES):
        with suppress(OSError, sqlite3.Error):
            if (data := _unchanged(file)) is not None:
                with closing(sqlite3.connect(":memory:")) as copy:
                    copy.deserialize(data)
                    return copy.execute(query, tuple(values)).fetchall()
        time.sleep(_TRY_AGAIN_S)
    return None


def _unchanged(file: Path) -> bytes | None:
    """Return the bytes of a database, if it was not written meanwhile: its journal is there as long as it is."""
    journal = file.with_name(f"{file.name}-journal")
    if journal.exists():
        return None
    data = file.read_bytes()
    with file.open("rb") as now:
        is_same = now.read(_HEADER_BYTES) == data[:_HEADER_BYTES]
    return data if is_same and not journal.exists() else None
