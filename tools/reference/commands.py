"""The page of commands, from the help of each; it does not depend on the width of a terminal."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module

import typer
from typer.main import get_command

from tunelab.cli.console import plain_app
from tunelab.cli.main import VERBS

INTRODUCTION = """\
# Commands

The help of every command: `tunelab COMMAND --help` prints the same in the terminal. Exit codes: 0 done, 1 something
was found, 2 it could not run, 130 interrupted.
"""


def commands_page() -> str:
    """Return usage, help and options of each command."""
    return "\n".join([INTRODUCTION, *(line for verb in VERBS for line in _command(_context(verb)))])


def _context(verb: str) -> typer.Context:
    """Return the context of a verb, built as the command line builds it."""
    command = import_module(f"tunelab.cli.{verb}").command
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = plain_app()
        app.command(help=command.__doc__ or VERBS[verb])(command)
    return typer.Context(get_command(app), info_name=f"tunelab {verb}")


def _command(context: typer.Context) -> Iterator[str]:
    command, name = context.command, context.command_path
    yield from (f"## {name}", "", "```text", " ".join([name, *command.collect_usage_pieces(context)]), "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")
    for option in command.get_params(context):
        if option.name != "help" and (record := option.get_help_record(context)):
            yield f"- `{record[0]}`: {' '.join(record[1].split())}"
    yield ""
    for verb, inner in getattr(command, "commands", {}).items():
        yield from _command(typer.Context(inner, info_name=verb, parent=context))
