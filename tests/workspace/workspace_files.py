"""What tests of workspaces share: one with a project in it, and what it holds."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forked import CHANGES
from tunelab.workspace import OWN_FOLDER, Workspace
from tunelab.workspace.projects import add_model, create_workspace, read_catalogue
from tunelab.workspace.projects.stored import STORED

LORA = Path("nano_v1/lora/lora.yaml")
BICEP = Path("nano_v1/lora/infra/provision/finetuning.bicep")


def workspace_with(folder: Path, *methods: str, model: str = "nano") -> Workspace:
    """Make a workspace with a project."""
    workspace = create_workspace(folder).workspace
    add_model(workspace, read_catalogue()[model], methods)
    return workspace


def contents(folder: Path, *, own: bool = True) -> dict[str, bytes]:
    """Return name -> bytes of every file; without `own`, what tunelab keeps for itself is left out."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in files.items() if own or not name.startswith(OWN_FOLDER)}


def began_as(folder: Path, file: Path, template: bytes) -> None:
    """Make it look as if a file of a project had begun as another template than there is today."""
    (folder / STORED / file).write_bytes(template)


class Killed(BaseException):
    """Raised in a test for a kill: from then on nothing can be changed, not by clean-up either."""


@contextmanager
def dying(*, at: int = 0, full: bool = False) -> Iterator[list[int]]:
    """Let all changes to the file system fail from the `at`-th on (from 1), and yield a list with the number of them.

    Args:
        at: the first that fails; 0 lets all of them pass.
        full: because the disk is full, so that only what takes room fails; else because the process was killed.
    """
    number = [0]

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            number[0] += 1
            if at and number[0] >= at and not full:
                raise Killed
            if at and number[0] >= at and change.__name__ in ("fsync", "mkdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return None if change.__name__ == "fsync" else change(*arguments, **named)  # no power is cut here

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, watched(getattr(os, name)))
        yield number
