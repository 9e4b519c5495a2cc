"""What a workspace remembers of its projects: the template that each file began as, so that an edit is known as one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from tunelab.errors import WorkspaceError
from tunelab.files import read_small_file, storage_errors, write_file
from tunelab.workspace.workspace import MARKER, OWN_FOLDER, Workspace

STORED = f"{OWN_FOLDER}/templates"
"""In a workspace; a file in it is named like the file of the project that it is the template of."""
LOCK = f"{OWN_FOLDER}/projects.lock"
"""Held by whoever writes to projects."""
_MAX_BYTES = 2**20


def workspace_around(start: Path) -> Workspace:
    """Return the workspace that `start` is in: the nearest folder upwards that is marked as one.

    Raises:
        WorkspaceError: there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / MARKER).is_file():
            return Workspace(path=folder)
    remedy = "Make one with: tunelab new DIR"
    raise WorkspaceError("this is no workspace, and no folder above it is one", where=str(start), remedy=remedy)


def place_of_template(workspace: Workspace, file: Path) -> Path:
    """Return where the template that a file of a project began as is kept.

    Raises:
        WorkspaceError: a link leads there.
    """
    place = workspace.path / STORED / file.relative_to(workspace.path)
    _refuse_link(workspace, place)
    return place


def is_linked(workspace: Workspace, file: Path) -> bool:
    """Whether a file of a workspace, or a folder there that it lies in, is a link: what it names is yours."""
    return _link_to(workspace, file) is not None


def _link_to(workspace: Workspace, file: Path) -> Path | None:
    inside = [each for each in file.parents if each.is_relative_to(workspace.path) and each != workspace.path]
    return next((each for each in (*reversed(inside), file) if each.is_symlink()), None)


def _refuse_link(workspace: Workspace, file: Path) -> None:
    if link := _link_to(workspace, file):
        remedy = f"Delete the link; what {OWN_FOLDER} holds is of this workspace alone."
        raise WorkspaceError("this is a link", where=str(link), expected="a file or folder of its own", remedy=remedy)


def template_then(workspace: Workspace, file: Path) -> bytes | None:
    """Return the template that a file of a project began as; None if it is not known."""
    return read_whole(place_of_template(workspace, file))


def remember(workspace: Workspace, file: Path, template: bytes) -> None:
    """Keep the template that a file of a project is compared with from now on."""
    replace_file(place_of_template(workspace, file), template)


def read_whole(file: Path) -> bytes | None:
    """Return what a file holds; None if there is none.

    Raises:
        WorkspaceError: it cannot be read.
    """
    try:
        return read_small_file(file, max_bytes=_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error


@contextmanager
def writing(workspace: Workspace) -> Iterator[None]:
    """Hold the projects of a workspace for this process; another one that writes to them is waited for.

    Raises:
        WorkspaceError: the lock or its folder is a link.
        StorageError: the folder cannot be written to.
    """
    lock = workspace.path / LOCK
    _refuse_link(workspace, lock)
    with storage_errors(lock):
        lock.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_file(file: Path, content: bytes | str) -> None:
    """Write a file, whole or not at all, and remove what a killed process left of it."""
    sweep(file)
    write_file(file, content)


def sweep(file: Path) -> None:
    """Remove what a killed process left next to a file, or folder, that it was writing."""
    with storage_errors(file):
        for left in file.parent.glob(f".{escape(file.name)}.[0-9]*.tmp"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
