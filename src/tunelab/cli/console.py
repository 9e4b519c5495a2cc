"""What the commands print with: one console, one shape of table, one shape of error."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tunelab.errors import UserError

if TYPE_CHECKING:  # rich costs a tenth of a second: only commands that draw pay it
    from rich.console import Console

SET = typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting that wins over the recipe's. Repeatable.")
"""The option with which every command that reads a recipe changes it."""


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the console of standard output (or standard error); colours only where a terminal shows them."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def say(text: str = "", *, style: str | None = None, stderr: bool = False) -> None:
    """Print a line of plain text; brackets in it stay brackets."""
    console(stderr=stderr).print(text, style=style)


def print_document(text: str) -> None:
    """Print a document that programs read (JSON, YAML): in UTF-8, whatever the terminal's encoding is."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(text, end="" if text.endswith("\n") else "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print rows under their column names; a column whose cells are all numbers is aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numbers = bool(cells) and all(isinstance(row[index], int | float) for row in cells)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_cell(value)) for value in row))
    console().print(table, soft_wrap=False)


def harmless(text: str) -> str:
    """Return text of data or models without control characters, which could move the cursor or rewrite the screen.

    What has no bytes in UTF-8, such as a part of a file name that is none, is shown as its escape.
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text.encode(errors="backslashreplace").decode())


def plain_app(**settings: Any) -> typer.Typer:
    """Return a typer app whose help is plain text, after -h too.

    Arguments are hidden in it, since typer would name their Python types: each command's own words tell of them.
    """
    names = {"help_option_names": ["-h", "--help"]}
    settings |= {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
    return typer.Typer(context_settings=names, **settings)


def named(path: Path) -> str:
    """Return a path as a user would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def this_command() -> str:
    """Return what a user types to run tunelab again: its name where it is on the PATH, else its path or python's."""
    if shutil.which("tunelab"):
        return "tunelab"
    program = Path(sys.argv[0]).absolute()
    return f"{named(Path(sys.executable))} -m tunelab" if program.name == "__main__.py" else named(program)


def print_error(error: UserError) -> None:
    """Print the one message of an error that the user can fix, on standard error."""
    print(f"tunelab: {harmless(str(error))}", file=sys.stderr)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
