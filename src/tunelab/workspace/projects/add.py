"""A model comes into a workspace: a project for it, or further methods for the project that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import WorkspaceError, did_you_mean
from tunelab.files import new_folder
from tunelab.workspace.projects.catalogue import ModelEntry
from tunelab.workspace.projects.project import PROJECT_FILE, Project, read_project
from tunelab.workspace.projects.stored import is_linked, read_whole, remember, replace_file, sweep, writing
from tunelab.workspace.projects.template import project_text, template_files, workflow_of
from tunelab.workspace.workspace import Workspace

USUAL_METHODS = ("lora", "soft_prompt")
"""Those of ModelLab, which a project gets if none is named."""
_SPACE = re.compile(r"[\s,:]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedModel:
    """What came of adding a model."""

    project: Project
    methods: tuple[str, ...]
    """Those that were asked for, or the usual ones."""
    files: tuple[Path, ...]
    """Those that were written, relative to the workspace; none if all of them were there."""


def add_model(workspace: Workspace, entry: ModelEntry, methods: Sequence[str] = ()) -> AddedModel:
    """Write what is missing of a model's project, and return what was written; a file that is there stays as it is.

    Args:
        workspace: a folder with projects in it.
        entry: the model.
        methods: sections of a recipe; none means the usual ones of those that the model can be trained by.

    Raises:
        WorkspaceError: the model cannot be trained so, or its folder is another's.
        StorageError: the folder cannot be written to.
    """
    methods = list(dict.fromkeys(methods)) or [each for each in USUAL_METHODS if each in entry.methods] or entry.methods
    for method in methods:
        if method not in entry.methods:
            what, remedy = f'{entry.id} cannot be trained by "{method}"', did_you_mean(method, entry.methods)
            raise WorkspaceError(what, where="--method", remedy=remedy)
    folder = workspace.path / folder_of(entry)
    with writing(workspace):
        _refuse_other(folder, entry)
        if is_linked(workspace, folder / PROJECT_FILE):
            remedy = "Put the project itself there, or add the model where the link leads."
            raise WorkspaceError("a link leads to this project", where=str(folder / PROJECT_FILE), remedy=remedy)
        sweep(folder)
        files = {folder / name: text for method in methods for name, text in template_files(entry, method).items()}
        missing = {
            file: text for file, text in files.items() if not is_linked(workspace, file) and read_whole(file) is None
        }
        for file, text in missing.items():
            remember(workspace, file, text)
        is_new = not folder.exists()
        if is_new:
            _write_project(folder, entry, methods, missing)
        else:
            for file, text in missing.items():
                replace_file(file, text)
            is_new = _add_workflows(folder, entry, methods)
    written = [*missing, *([folder / PROJECT_FILE] if is_new else [])]
    names = tuple(file.relative_to(workspace.path) for file in written)
    return AddedModel(project=read_project(folder), methods=tuple(methods), files=names)


def folder_of(entry: ModelEntry) -> str:
    """Return the name of a model's folder in a workspace, as ModelLab makes it: ``publisher_model_v1``."""
    return f"{entry.id.replace('/', '_')}_v{entry.version}"


def _refuse_other(folder: Path, entry: ModelEntry) -> None:
    """Raise a WorkspaceError if the folder is another's, or one that a disk blind to case would take for it."""
    for other in sorted(folder.parent.iterdir()):
        if other.name.casefold() != folder.name.casefold():
            continue
        owner = read_project(other).model_id if (other / PROJECT_FILE).is_file() else None
        if owner != entry.id or other.name != folder.name:
            is_of = f"is the project of {owner}" if owner else "is there, and no project"
            what = f"{entry.id} would get the folder {folder.name}, but {other.name} {is_of}"
            remedy = f"Rename it, or give {entry.id} another id in models.yaml (with base_model: {entry.trained_as})."
            raise WorkspaceError(what, where=str(folder.parent), remedy=remedy)


def _write_project(folder: Path, entry: ModelEntry, methods: Sequence[str], files: dict[Path, bytes]) -> None:
    """Write a whole project, or nothing."""
    with new_folder(folder) as aside:
        for file, text in files.items():
            place = aside / file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text)
        (aside / PROJECT_FILE).write_text(project_text(entry, methods), encoding="utf-8", newline="")


def _add_workflows(folder: Path, entry: ModelEntry, methods: Sequence[str]) -> bool:
    """Append to a project's own file the methods that it lacks; return whether there were any."""
    project = read_project(folder)
    missing = [method for method in methods if method not in project.methods]
    if missing:
        text = project.file.read_bytes().decode("utf-8")
        for method in missing:
            text = _with_item(text, "workflows", workflow_of(entry, method))
        replace_file(project.file, text)
    return bool(missing)


def _with_item(text: str, key: str, item: object) -> str:
    """Return JSON with an item appended to a list; all other bytes stay."""
    start, end = _span(text, key)
    body = text[start + 1 : end - 1].rstrip()
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = re.match(r"\s*\n([ \t]*)", body)
    lines = json.dumps(item, ensure_ascii=False, indent=2 if indent else None).split("\n")
    before = f"{newline}{indent[1]}" if indent else " " if body else ""
    place = start + 1 + len(body)
    return f"{text[:place]}{',' if body else ''}{before}{(before or newline).join(lines)}{text[place:]}"


def _span(text: str, key: str) -> tuple[int, int]:
    """Return where the value of a key of the outermost mapping begins and ends."""
    decoder = json.JSONDecoder()
    place = text.index("{") + 1
    while True:
        name, place = decoder.raw_decode(text, _after_space(text, place))
        place = _after_space(text, place)
        _, end = decoder.raw_decode(text, place)
        if name == key:
            return place, end
        place = end


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place
