"""`tunelab recipe explain FILE`: each value of a recipe and where it came from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.output import harmless, say
from tunelab.recipes import ResolvedRecipe, explain, resolve_recipe, to_yaml

command = typer.Typer(help="Look into a recipe.", add_completion=False, pretty_exceptions_enable=False)

File = Annotated[
    Path | None, typer.Argument(help="A recipe in any dialect; without one, LLM_* variables are the recipe.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value; wins over everything. Repeatable.")
]


@command.callback()
def _verbs() -> None:
    """Look into a recipe."""


@command.command("explain")
def explain_command(
    file: File = None,
    overrides: Overrides = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only values that are not defaults.")] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the canonical recipe instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print keys, values and sources as JSON instead.")] = False,
) -> None:
    """Print each value of a recipe and where it came from."""
    resolved = resolve_recipe(file, overrides=overrides or ())
    if as_yaml:
        print(to_yaml(resolved.recipe), end="")
    elif as_json:
        settings = [asdict(row) for row in explain(resolved)]
        print(json.dumps({"dialect": resolved.dialect, "notes": resolved.notes, "settings": settings}))
    else:
        _print(resolved, changed)


def _print(resolved: ResolvedRecipe, changed: bool) -> None:
    say(f"{resolved.file or 'LLM_* variables'}: read as {resolved.dialect}.\n")
    rows = [row for row in explain(resolved) if not changed or row.changed]
    values = [json.dumps(row.value, ensure_ascii=False) for row in rows]
    key_width = max((len(row.key) for row in rows), default=0)
    value_width = min(max(map(len, values), default=0), 28)
    for row, value in zip(rows, values, strict=True):
        say(f"{row.key:<{key_width}}  {value:<{value_width}}  {row.source}")
    for note in resolved.notes:
        say(f"\nNote: {harmless(note)}")
