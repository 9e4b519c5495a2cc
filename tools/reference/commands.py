"""The page of commands, from the help of each; it does not depend on the width of a terminal."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module

import click
import typer

from tunelab.cli.console import plain_app
from tunelab.cli.main import VERBS

INTRODUCTION = """\
# Commands

The help of every command: `tunelab COMMAND --help` prints the same in the terminal. Exit codes: 0 done, 1 something was found, 2 it could
not run, 130 interrupted.
"""


def commands_page() -> str:
    """Return usage, help and options of each command."""
    return "\n".join([INTRODUCTION, *(line for verb in VERBS for line in _command(f"tunelab {verb}", _of(verb)))])


def _of(verb: str) -> click.Command:
    """Return a verb as the command line builds it."""
    command = import_module(f"tunelab.cli.{verb}").command
    if isinstance(command, typer.Typer):
        return typer.main.get_command(command)
    app = plain_app()
    app.command(help=command.__doc__ or VERBS[verb])(command)
    return typer.main.get_command(app)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield from (f"## {name}", "")
    yield from ("```text", " ".join([name, *command.collect_usage_pieces(context)]), "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")
    yield from filter(None, (_option(each, context) for each in command.get_params(context)))
    yield ""
    for verb, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {verb}", inner)


def _option(option: click.Parameter, context: click.Context) -> str:
    record = option.get_help_record(context) if option.name != "help" else None
    return f"- `{record[0]}`: {' '.join(record[1].split())}" if record else ""
