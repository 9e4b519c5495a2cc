"""Projects and their templates, three ways: the template as it was, as it is, and yours, which is never overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import count
from pathlib import Path
from typing import Literal

from tunelab.errors import RecipeError
from tunelab.files import write_file
from tunelab.recipes.yaml_file import parse
from tunelab.workspace.projects.catalogue import METHODS, read_catalogue
from tunelab.workspace.projects.merge import merge
from tunelab.workspace.projects.project import Project, projects_of
from tunelab.workspace.projects.stored import (
    is_linked,
    place_of_template,
    read_whole,
    remember,
    sweep,
    template_then,
    writing,
)
from tunelab.workspace.projects.template import template_files
from tunelab.workspace.workspace import Workspace

Outcome = Literal["same", "added", "updated", "merged", "conflict", "available", "kept"]
"""What becomes of a file.

same: nothing to do; added: it was missing; updated: the template changed, and you did not; merged: both changed
without overlap; conflict: both changed the same, and the merge lies next to yours; available: `update` would take the
template's changes; kept: what it began as is not known, or a link leads to it, so that it counts as yours.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSync:
    """What becomes of a file of a project."""

    file: Path
    """Relative to the workspace."""
    outcome: Outcome
    target: Path
    """What is written: the file, or one next to it."""
    content: bytes | None = None
    """What is written to it; None if nothing is."""
    template: bytes | None = None
    """What the file is compared with the next time; None if that stays as it is."""
    diff: str = ""
    """From yours to what lies next to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came of syncing a workspace."""

    files: tuple[FileSync, ...]
    notes: tuple[str, ...]
    """Projects that have no template, or one of another version."""

    @property
    def changes(self) -> list[FileSync]:
        """The files that are written."""
        return [each for each in self.files if each.content is not None]


def sync_projects(workspace: Workspace, *, update: bool = False, check: bool = False) -> Synced:
    """Write what is missing of every project, and return what was done.

    Args:
        workspace: a folder with projects in it.
        update: also take over what changed in the templates if it does not overlap with your changes.
        check: write nothing; return what would be done.

    Raises:
        WorkspaceError: a project or models.yaml is damaged; nothing was written.
        StorageError: the folder cannot be written to.
    """
    if check:
        return _planned(workspace, update=update)
    with writing(workspace):
        synced = _planned(workspace, update=update)
        for each in synced.files:
            _write(workspace, each)
    return synced


def _planned(workspace: Workspace, *, update: bool) -> Synced:
    catalogue = read_catalogue(workspace)
    files: list[FileSync] = []
    notes: list[str] = []
    for project in projects_of(workspace):
        entry = catalogue.get(project.model_id)
        if entry is None:
            notes.append(f"{project.path.name}: the catalogue has no {project.model_id}; nothing to sync it with.")
        elif entry.version != project.version:
            versions = f"version {project.version}, and the template version {entry.version}"
            notes.append(f"{project.path.name} is {versions}: kept. tunelab add {entry.id} makes the new one.")
        else:
            notes += _unknown_methods(project)
            now = {name: text for each in _known_methods(project) for name, text in template_files(entry, each).items()}
            files += [_file(workspace, project.path / name, text, update=update) for name, text in now.items()]
    return Synced(files=tuple(files), notes=tuple(notes))


def _known_methods(project: Project) -> list[str]:
    return [method for method in project.methods if method in METHODS]


def _unknown_methods(project: Project) -> Iterator[str]:
    for workflow in project.workflows:
        if workflow.method not in METHODS:
            yield f"{project.path.name}: the workflow {workflow.name} has no template; nothing to sync it with."


def _file(workspace: Workspace, file: Path, now: bytes, *, update: bool) -> FileSync:
    """Return what becomes of one file."""
    then, yours = template_then(workspace, file), read_whole(file)
    name, linked = file.relative_to(workspace.path), is_linked(workspace, file)
    if yours is None and not linked:
        return FileSync(file=name, outcome="added", target=file, content=now, template=None if now == then else now)
    if yours is not None and now in (yours, then):
        return FileSync(file=name, outcome="same", target=file, template=None if now == then else now)
    if then is None or yours is None or linked:
        return FileSync(file=name, outcome="kept", target=file, template=now)
    merged = merge(then, yours, now)
    if merged.num_conflicts or not _parses(file, merged.content):
        new = merged.content if _parses(file, merged.content) else now
        diff = _diff(name, yours, new)
        return FileSync(file=name, outcome="conflict", target=_free(file, new), content=new, template=now, diff=diff)
    if merged.content == yours:  # a sync that was killed got this far
        return FileSync(file=name, outcome="same", target=file, template=now)
    if not update:
        return FileSync(file=name, outcome="available", target=file)
    outcome: Outcome = "updated" if yours == then else "merged"
    return FileSync(file=name, outcome=outcome, target=file, content=merged.content, template=now)


def _write(workspace: Workspace, each: FileSync) -> None:
    """Write a file, then what it is compared with: whatever comes between the two, the next sync finds it done."""
    for written in (each.target, place_of_template(workspace, workspace.path / each.file)):
        if not is_linked(workspace, written):
            sweep(written)
    if each.content is not None:
        write_file(each.target, each.content)
    if each.template is not None:
        remember(workspace, workspace.path / each.file, each.template)


def _free(file: Path, content: bytes) -> Path:
    """Return the name next to `file` that is free, or holds just this."""
    names = (file.with_name(f"{file.name}.new{number if number > 1 else ''}") for number in count(1))
    return next(name for name in names if read_whole(name) in (None, content))


def _parses(file: Path, content: bytes) -> bool:
    """Return whether a merge is still what the ending says; of lines alone that is not known."""
    try:
        text = content.decode("utf-8-sig")
        if file.suffix == ".yaml":
            parse(file, text)
        elif file.suffix in (".json", ".config"):
            json.loads(text, object_pairs_hook=_without_repeats)
    except (RecipeError, ValueError, RecursionError):
        return False
    return True


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _diff(name: Path, yours: bytes, new: bytes) -> str:
    before, after = (text.decode("utf-8", "replace").splitlines() for text in (yours, new))
    return "\n".join(unified_diff(before, after, fromfile=str(name), tofile=f"{name}.new", lineterm=""))
