"""A workspace is made: empty, from a folder of ModelLab's, or in a folder that has files already."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath

from tunelab.errors import WorkspaceError
from tunelab.files import new_folder, storage_errors
from tunelab.workspace.projects.copy_tree import copy_tree
from tunelab.workspace.projects.project import PROJECT_FILE, projects_of, read_project
from tunelab.workspace.projects.stored import LOCK, STORED, replace_file, sweep
from tunelab.workspace.projects.sync import Synced, sync_projects
from tunelab.workspace.workspace import MARKER, OWN_FOLDER, Workspace

_GITIGNORE = f"""\
# Runs and jobs are of one machine. What templates were is kept, so that a clone can be synced, too.
/runs/
/{OWN_FOLDER}/*
!/{STORED}/
/*/history/**
!/*/history/**/
!/*/history/**/history.config
"""
_FILES = {".gitignore": _GITIGNORE, MARKER: json.dumps({"version": "1.0.0"}, indent=2) + "\n"}
"""What every workspace has; the last one makes a folder one."""
_MARKERS = (MARKER, "model_lab.workspace.config")
"""What ModelLab marks its workspaces with: those of fine-tuning, and those of conversion."""

_DEPTH = 3
"""How deep in a folder another workspace is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    """What came of making a workspace."""

    workspace: Workspace
    files: tuple[str, ...]
    """What was missing, and was written; nothing if it was a workspace already."""
    num_copied: int = 0
    """Files that were copied from another folder, byte by byte."""
    left_out: tuple[str, ...] = ()
    """What was not copied: sockets and pipes, links that lead nowhere, jobs."""
    synced: Synced | None = None
    """What was missing of the projects of the other folder."""


def create_workspace(path: Path, source: Path | None = None) -> NewWorkspace:
    """Make a folder a workspace, and return what was written; a file that is there stays as it is.

    Args:
        path: the folder, which need not exist.
        source: a workspace or project of ModelLab's that is copied into it; what it lacks is added. It may be `path`.

    Raises:
        WorkspaceError: it would lie in a workspace, or around one; the source is none; a name that can be none.
        StorageError: the folder cannot be written to; nothing is left half written.
    """
    for each in (path, *([source] if source else [])):
        if "\0" in str(each):
            raise WorkspaceError("the name holds a NUL character", where=str(each), expected="the name of a folder")
    with storage_errors(path):
        folder = path.expanduser().resolve()
        _refuse_place(folder, path)
    if source is not None and (origin := source.expanduser().resolve()) != folder:
        return _from_folder(origin, folder, path)
    missing = {name: text for name, text in _FILES.items() if not os.path.lexists(folder / name)}
    if folder.exists():
        for name, text in missing.items():
            replace_file(folder / name, text)
    else:
        sweep(folder)
        with new_folder(folder) as aside:
            for name, text in missing.items():
                (aside / name).write_text(text, encoding="utf-8", newline="")
    workspace = Workspace(path=folder)
    synced = sync_projects(workspace) if source is not None else None
    return NewWorkspace(workspace=workspace, files=tuple(missing), synced=synced)


def _refuse_place(folder: Path, named: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise WorkspaceError("this is a file", where=str(named), expected="a folder, or a name that is free")
    outer = next((each for each in folder.parents if (each / MARKER).is_file()), None)
    inner = next((each.parent for each in _marked_in(folder)), None) if folder.is_dir() else None
    if outer or inner:
        what = f"there is a workspace {'around' if outer else 'inside'} it, {outer or inner}"
        remedy = "Choose a folder outside" + (", or add models to that one: tunelab add MODEL." if outer else ".")
        raise WorkspaceError(what, where=str(named), expected="no workspace inside another", remedy=remedy)


def _marked_in(folder: Path) -> Iterator[Path]:
    """Yield the markers of workspaces in a folder, down to _DEPTH folders below it."""
    return chain.from_iterable(sorted(folder.glob(f"{'*/' * depth}{MARKER}")) for depth in range(1, _DEPTH + 1))


def _from_folder(source: Path, folder: Path, named: Path) -> NewWorkspace:
    """Copy a workspace, or one project, and add what is missing: all of it or nothing."""
    is_project = _require_source(source)
    if os.path.lexists(folder):
        remedy = "Choose a name that is free, or give the same folder twice to complete it in place."
        raise WorkspaceError("this folder is there already", where=str(named), remedy=remedy)
    if folder.is_relative_to(source):
        raise WorkspaceError(
            f"this lies in {source}, which is to be copied", where=str(named), expected="a place outside"
        )
    sweep(folder)
    with new_folder(folder) as aside:
        copied = copy_tree(source, aside / source.name if is_project else aside, without=_is_of_place)
        missing = {name: text for name, text in _FILES.items() if not os.path.lexists(aside / name)}
        for name, text in missing.items():
            (aside / name).write_text(text, encoding="utf-8", newline="")
        synced = sync_projects(Workspace(path=aside))
    return NewWorkspace(
        workspace=Workspace(path=folder),
        files=tuple(missing),
        num_copied=copied.num_files,
        left_out=tuple(name for name in copied.left_out if name != LOCK),
        synced=synced,
    )


def _is_of_place(name: PurePath) -> bool:
    """Return whether a file belongs to the folder that it lies in, as jobs do, and not to a copy."""
    return name.parts[0] == OWN_FOLDER and len(name.parts) > 1 and not name.is_relative_to(STORED)


def _require_source(source: Path) -> bool:
    """Return whether a folder is a project rather than a workspace.

    Raises:
        WorkspaceError: it is neither, or a project in it is damaged.
    """
    if not source.is_dir():
        raise WorkspaceError(
            "there is no such folder", where=str(source), expected="a workspace or project of ModelLab's"
        )
    if (source / PROJECT_FILE).is_file():
        read_project(source)
        return True
    if not projects_of(Workspace(path=source)) and not any((source / marker).is_file() for marker in _MARKERS):
        expected = f"a folder with {MARKER}, or with {PROJECT_FILE}"
        raise WorkspaceError("this is no workspace and no project", where=str(source), expected=expected)
    return False
