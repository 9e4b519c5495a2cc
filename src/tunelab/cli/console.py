"""What the commands print with: one console, one shape of table, one shape of error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from tunelab.cli.plain_text import harmless, named, print_document, print_error, this_command

if TYPE_CHECKING:  # rich costs a tenth of a second: only commands that draw pay it
    from rich.console import Console

__all__ = [
    "SET",
    "console",
    "harmless",
    "named",
    "plain_app",
    "print_document",
    "print_error",
    "print_table",
    "say",
    "this_command",
]

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


def plain_app(**settings: Any) -> typer.Typer:
    """Return a typer app whose help is plain text, after -h too.

    Arguments are hidden in it, since typer would name their Python types: each command's own words tell of them.
    """
    names = {"help_option_names": ["-h", "--help"]}
    settings |= {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
    return typer.Typer(context_settings=names, **settings)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
