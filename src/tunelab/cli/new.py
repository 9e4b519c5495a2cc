"""`tunelab new DIR`: a workspace, empty or from a folder of ModelLab's."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import harmless, named, say, this_command
from tunelab.cli.sync import print_synced
from tunelab.errors import counted, listed
from tunelab.workspace.projects import create_workspace


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", hidden=True)],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="A workspace or project of ModelLab's, copied and completed."),
    ] = None,
) -> None:
    """Make a workspace: a folder of projects, one for each model, with their runs and jobs.

    DIR may hold files already; none of them is changed.
    """
    new = create_workspace(folder, source)
    place = named(new.workspace.path)
    if new.num_copied:
        say(f"Copied {counted(new.num_copied, 'file')} from {source}, byte by byte.")
    if new.left_out:
        say(f"Left out: {harmless(listed(new.left_out))}")
    say(
        f"Workspace {place}: wrote {listed(new.files)}."
        if new.files
        else f"{place} is a workspace; nothing was written."
    )
    if new.synced is not None:
        print_synced(new.synced)
    cd = "" if new.workspace.path == Path.cwd() else f"cd {shlex.quote(place)} && "
    say(f"Next: {cd}{this_command()} add nano  (or another of {this_command()} models)")
