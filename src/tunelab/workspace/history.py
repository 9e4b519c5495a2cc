"""The history of a project: `history/<workflow>/<name>/history.config` names the run that a workflow made.

It names the run by its id, and the run lies in `runs/` of the workspace around: a workspace that is copied, moved, or
read from Windows keeps its history, which a link would not.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from tunelab.errors import RunError
from tunelab.files import read_small_file, storage_errors, write_json
from tunelab.workspace.run import Run

HISTORY_FILE = "history.config"
_MAX_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One time that a workflow was run: a folder, made before its run is."""

    path: Path
    workflow: str
    """Such as ``LoRA``."""
    is_new: bool
    """Whether the folder was made now."""

    @property
    def name(self) -> str:
        """Such as ``LoRA_20261130-220102``."""
        return self.path.name

    def point_to(self, run_id: str) -> None:
        """Write which run it is."""
        names = {"version": 1, "workflow": self.workflow, "name": self.name, "run_id": run_id}
        write_json(self.path / HISTORY_FILE, names)

    def take_back(self) -> None:
        """Remove an entry that was made now, because nothing came of it."""
        if self.is_new:
            with suppress(OSError):
                (self.path / HISTORY_FILE).unlink(missing_ok=True)
                self.path.rmdir()
                self.path.parent.rmdir()
                self.path.parent.parent.rmdir()


def new_entry(project: Path, workflow: str, name: str | None = None) -> HistoryEntry:
    """Return the entry of a name, in a folder that is made unless it is there.

    Args:
        project: the folder of the project.
        workflow: such as ``LoRA``.
        name: of an entry, perhaps one that is there; None takes ``<workflow>_<time>``, which is always a new one.

    Raises:
        RunError: the name is none, or is that of an entry in other letters: Windows takes the two for one.
        StorageError: the folder cannot be made.
    """
    folder = project / "history" / _as_file_name(workflow)
    stem = f"{folder.name.replace(' ', '_')[:40]}_{datetime.now():%Y%m%d-%H%M%S}"
    if name is not None and not _NAME.fullmatch(name):
        expected = "at most 60 letters, digits, dots, dashes and underscores, a letter or digit first"
        raise RunError(f'"{name}" is no name for a run', where="--name", expected=expected)
    if name is not None and (other := _in_other_letters(folder, name)):
        what = f'"{name}" is the name of a run in other letters'
        raise RunError(what, where=str(folder / other), expected=f"{other}, or another name")
    for each in [name] if name is not None else chain([stem], (f"{stem}-{number}" for number in count(2))):
        with storage_errors(folder / each):
            try:
                (folder / each).mkdir(parents=True)
            except FileExistsError:
                if name is None:
                    continue
                return HistoryEntry(path=folder / each, workflow=workflow, is_new=False)
        return HistoryEntry(path=folder / each, workflow=workflow, is_new=True)
    raise AssertionError("count() has no end")


def _in_other_letters(folder: Path, name: str) -> str:
    """Return the entry whose name differs in large and small letters alone; empty if there is none."""
    with suppress(FileNotFoundError):
        names = os.listdir(folder)
        return next((each for each in names if each != name and each.lower() == name.lower()), "")
    return ""


def run_of(folder: Path, runs: Path) -> Run | None:
    """Return the run that an entry's folder points to, in the folder `runs`; None if the folder is no entry.

    Raises:
        RunError: its file cannot be read.
    """
    file = folder / HISTORY_FILE
    if not file.is_file():
        return None
    try:
        run_id = json.loads(read_small_file(file, max_bytes=_MAX_BYTES))["run_id"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        expected = '{"workflow": "LoRA", "name": "…", "run_id": "…"}'
        raise RunError(f"the file names no run ({error!r})", where=str(file), expected=expected) from error
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        what = f'"{run_id}" is no id of a run'
        raise RunError(what, where=str(file), expected="the name of a folder in runs")
    return Run(path=runs / run_id)


def _as_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ._-]+", "_", text).strip(" .")[:60] or "workflow"
