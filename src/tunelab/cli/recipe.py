"""`tunelab recipe explain FILE`: each value of a recipe and where it came from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import SET, harmless, plain_app, print_document, say
from tunelab.recipes import ResolvedRecipe, explain, resolve_recipe, to_yaml

command = plain_app(help="Look into a recipe.", no_args_is_help=True)


@command.callback()
def _verbs() -> None:
    """Look into a recipe."""


@command.command("explain")
def explain_command(
    file: Annotated[Path | None, typer.Argument(metavar="RECIPE", hidden=True)] = None,
    overrides: Annotated[list[str] | None, SET] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only values that are not defaults.")] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the canonical recipe instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print keys, values and sources as JSON instead.")] = False,
) -> None:
    """Print each value of a recipe and where it came from.

    RECIPE is a YAML file; without one, variables such as LLM_DATA__TRAIN_FILES make the recipe.
    """
    resolved = resolve_recipe(file, overrides=overrides or ())
    if as_yaml:
        print_document(to_yaml(resolved.recipe))
    elif as_json:
        settings = [asdict(row) for row in explain(resolved)]
        print_document(json.dumps({"dialect": resolved.dialect, "notes": resolved.notes, "settings": settings}))
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
