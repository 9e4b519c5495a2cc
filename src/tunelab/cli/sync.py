"""`tunelab sync`: what the templates of projects have that the projects lack; nothing of yours is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import harmless, say, this_command
from tunelab.workspace.projects import Synced, sync_projects, workspace_around

_WORDS = {
    "added": "added      {file}",
    "updated": "updated    {file}",
    "merged": "merged     {file}  (your changes are in it)",
    "conflict": "conflict   {file}: both changed the same lines; yours is kept, the merge is {target}",
    "available": "available  {file}: the template changed; take it over with --update",
    "kept": "kept       {file}: yours; it is no template of tunelab's",
}


def command(
    update: Annotated[
        bool, typer.Option("--update", help="Take over what changed in the templates if you did not change it, too.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if something would be changed.")
    ] = False,
) -> None:
    """Add the files that projects of this workspace lack, and say which templates have changed.

    A file that you changed is never overwritten. If you and the template changed the same lines, a merge is written
    next to it (lora.yaml.new), and the difference is printed.
    """
    synced = sync_projects(workspace_around(Path.cwd()), update=update, check=check)
    print_synced(synced)
    if check and synced.changes:
        say(f"\nNothing was changed. Do it with: {this_command()} sync{' --update' if update else ''}")
        raise typer.Exit(1)


def print_synced(synced: Synced) -> None:
    """Print what came of a sync: files that were written or could be, what is to be known of projects."""
    reported = [each for each in synced.files if each.outcome != "same"]
    for each in reported:
        say(harmless(_WORDS[each.outcome].format(file=each.file, target=each.target.name)))
    for each in reported:
        if each.diff:
            say(f"\n{harmless(each.diff)}\n")
    for note in synced.notes:
        say(f"Note: {harmless(note)}")
    if not reported:
        say(f"{len(synced.files)} files of projects are as their templates have them, but for your own changes.")
