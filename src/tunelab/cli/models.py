"""`tunelab models`: the models that a project can be made of, or those that the workspace has projects of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tunelab.cli.console import harmless, print_document, say, this_command
from tunelab.errors import WorkspaceError
from tunelab.workspace import Workspace
from tunelab.workspace.projects import METHODS, ModelEntry, projects_of, read_catalogue, workspace_around


def command(
    is_local: Annotated[bool, typer.Option("--local", help="Only the projects of this workspace.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON instead.")] = False,
) -> None:
    """List the models that can be added: those of the catalogue, and those of models.yaml in the workspace."""
    if is_local:
        _projects(workspace_around(Path.cwd()), as_json)
    else:
        _catalogue(list(read_catalogue(_workspace()).values()), as_json)


def _workspace() -> Workspace | None:
    try:
        return workspace_around(Path.cwd())
    except WorkspaceError:  # outside one, there are no own entries
        return None


def _catalogue(entries: list[ModelEntry], as_json: bool) -> None:
    if as_json:
        facts = [entry.model_dump(mode="json") | {"base_model": entry.trained_as} for entry in entries]
        print_document(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    _say_in_columns([("model", "weights", "licence", "where", "methods"), *map(_row, entries)])
    say(f"All methods: {', '.join(METHODS)}.")
    say(f"Add a model with: {this_command()} add MODEL. Nothing is fetched before it is trained.")


def _row(entry: ModelEntry) -> tuple[str, ...]:
    methods = "all" if len(entry.methods) == len(METHODS) else ", ".join(entry.methods)
    return entry.id, _short(entry.parameters), entry.licence or "", ", ".join(entry.places), methods


def _short(parameters: int | None) -> str:
    """Return a number of weights as people say it, such as ``3.8B``."""
    if parameters is None:
        return ""
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _projects(workspace: Workspace, as_json: bool) -> None:
    projects = projects_of(workspace)
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "id": project.model_id,
                "folder": project.path.name,
                "version": project.version,
                "workflows": [{"name": each.name, "method": each.method} for each in project.workflows],
            }
            for project in projects
        ]
        print_document(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not projects:
        say(f"There is no project in {workspace.path} yet. Add one with: {this_command()} add MODEL")
        return
    rows_of_table = [
        (each.model_id, each.path.name, ", ".join(flow.name for flow in each.workflows)) for each in projects
    ]
    _say_in_columns([("model", "folder", "workflows"), *rows_of_table])


def _say_in_columns(rows: list[tuple[str, ...]]) -> None:
    """Print rows under one another; no cell is cut or broken, since ids are there to be copied."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say(harmless("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))).rstrip())
