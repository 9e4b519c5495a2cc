"""`tunelab add MODEL`: a project for a model in the workspace."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import named, say, this_command
from tunelab.errors import counted
from tunelab.models.locate_model import MODEL_NAMES
from tunelab.workspace.projects import add_model, find_model, read_catalogue, workspace_around


def command(
    model_id: Annotated[str, typer.Argument(metavar="MODEL", hidden=True)],
    methods: Annotated[
        str,
        typer.Option("--method", metavar="A,B", help="How it is to be trained; default: lora,soft_prompt."),
    ] = "",
) -> None:
    """Add a model to the workspace: a folder with a recipe for each method. Given again, it adds what is missing.

    MODEL is one of tunelab models, such as nano or microsoft/Phi-4-mini-instruct.
    """
    workspace = workspace_around(Path.cwd())
    entry = find_model(read_catalogue(workspace), model_id)
    added = add_model(workspace, entry, [each.strip() for each in methods.split(",") if each.strip()])
    project = added.project
    if not added.files:
        say(f"{entry.id} is in {named(project.path)} already; nothing was written.")
    else:
        say(f"{entry.id}: wrote {counted(len(added.files), 'file')} in {named(project.path)}")
    if entry.is_of_hub and entry.revision is None:
        say("Its weights come from the Hub when it is trained. Set model_revision (or model.revision) to the commit.")
    recipe = project.workflow(added.methods[0]).recipe_file
    say(f"Next: put rows into {named(recipe.parent / 'dataset')} (train.json, test.json), and give")
    other = ""
    if "local" not in entry.places:
        other = f" --set model.base_model={MODEL_NAMES[0]}"
        say(f"(the weights of {entry.id} are not public: here, its recipe trains another model)")
    say(f"  {this_command()} train {shlex.quote(named(recipe))}{other}")
