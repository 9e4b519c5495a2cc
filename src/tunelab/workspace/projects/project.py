"""A project: the folder of one model in a workspace, with a workflow for each method that it can be trained by."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunelab.errors import WorkspaceError, did_you_mean
from tunelab.files import read_small_file
from tunelab.workspace.workspace import Workspace

PROJECT_FILE = "model_project.config"
"""A folder of a workspace is a project if this file is in it."""
_MAX_BYTES = 2**20
_METHOD = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One way to train the model of a project."""

    name: str
    """Such as ``LoRA``."""
    method: str
    """The folder in the project, named like the section of a recipe: ``lora``."""
    recipe_file: Path
    """The recipe that it trains, which need not exist: ``<project>/lora/lora.yaml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The folder of one model."""

    path: Path
    model_id: str
    """Such as ``microsoft/Phi-4-mini-instruct``."""
    version: int
    """Of the template that it was made from; no part of the model's own name."""
    workflows: tuple[Workflow, ...]

    @property
    def file(self) -> Path:
        """What says which model and which workflows."""
        return self.path / PROJECT_FILE

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of its workflows."""
        return tuple(workflow.method for workflow in self.workflows)

    def workflow(self, name: str) -> Workflow:
        """Return the workflow of a name such as ``LoRA``, or of a method such as ``lora``; small letters will do.

        Raises:
            WorkspaceError: there is none; those that there are are listed.
        """
        requested = name.casefold()
        for workflow in self.workflows:
            if requested in (workflow.name.casefold(), workflow.method):
                return workflow
        remedy = did_you_mean(name, [workflow.name for workflow in self.workflows])
        raise WorkspaceError(f'there is no workflow "{name}"', where=str(self.file), remedy=remedy)


def projects_of(workspace: Workspace) -> list[Project]:
    """Return the projects of a workspace, by the names of their folders.

    Raises:
        WorkspaceError: a project's file cannot be read.
    """
    folders = sorted(workspace.path.iterdir()) if workspace.path.is_dir() else []
    return [read_project(each) for each in folders if each.name[0] != "." and (each / PROJECT_FILE).is_file()]


def find_project(workspace: Workspace, model_id: str) -> Project:
    """Return the project of a model; of several versions the newest.

    Raises:
        WorkspaceError: there is none; those that there are are listed.
    """
    projects = projects_of(workspace)
    if own := [each for each in projects if each.model_id.casefold() == model_id.casefold()]:
        return max(own, key=lambda each: each.version)
    ids = list(dict.fromkeys(each.model_id for each in projects))
    remedy = f"{did_you_mean(model_id, ids)} " if ids else ""
    remedy += f"Add it with: tunelab add {model_id}"
    raise WorkspaceError(f'there is no project of the model "{model_id}"', where=str(workspace.path), remedy=remedy)


def read_project(folder: Path) -> Project:
    """Return the project in a folder.

    Raises:
        WorkspaceError: its file is missing, damaged, or names a file outside the folder.
    """
    file = folder / PROJECT_FILE
    written = _read(file)
    workflows = tuple(_workflow(each, folder) for each in written.workflows)
    return Project(path=folder, model_id=written.modelInfo.id, version=written.modelInfo.version, workflows=workflows)


class _Workflow(msgspec.Struct):
    name: str
    file: str


class _ModelInfo(msgspec.Struct):
    id: str
    version: int = 1


class _Written(msgspec.Struct):
    workflows: list[_Workflow]
    modelInfo: _ModelInfo


def _read(file: Path) -> _Written:
    try:
        text = read_small_file(file, max_bytes=_MAX_BYTES).decode("utf-8-sig")
        return msgspec.convert(json.loads(text), _Written)
    except OSError as error:
        raise WorkspaceError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error
    except json.JSONDecodeError as error:
        raise WorkspaceError(f"this is not JSON ({error.msg})", where=f"{file}:{error.lineno}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8; keys missing or of another type
        expected = 'workflows, each with "name" and "file", and modelInfo with an "id"'
        raise WorkspaceError(f"it describes no project ({error})", where=str(file), expected=expected) from error


def _workflow(written: _Workflow, folder: Path) -> Workflow:
    method = written.file.replace("\\", "/").partition("/")[0]
    if not _METHOD.fullmatch(method):
        what = f'the file of the workflow "{written.name}" is "{written.file}"'
        expected = "a file in a folder of the project, such as lora/infra/provision/finetuning.config.json"
        raise WorkspaceError(what, where=str(folder / PROJECT_FILE), expected=expected)
    return Workflow(name=written.name, method=method, recipe_file=folder / method / f"{method}.yaml")
