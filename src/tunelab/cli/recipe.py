"""`tunelab recipe`: explain each value of a recipe, or convert the recipe of another tool."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import SET, harmless, plain_app, print_document, say
from tunelab.recipes import ResolvedRecipe, convert, explain, resolve_recipe, to_yaml, write_new

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


@command.command("convert")
def convert_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", hidden=True)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="RECIPE", help="The recipe to write; never over a file.")
    ] = None,
    overrides: Annotated[list[str] | None, SET] = None,
) -> None:
    """Write the recipe of another tool as a short recipe of tunelab's.

    FILE is a recipe of LLaMA-Factory, Axolotl, TRL, Unsloth, mlx-lm or ModelLab, or a fine-tuning job of OpenAI. The
    values are those of `tunelab recipe explain FILE`; comments say where each came from, and what was left out. Without
    -o the recipe is printed.
    """
    resolved = resolve_recipe(file, overrides=overrides or (), environment=None)
    text = convert(resolved, folder=(out or file).parent)
    if out is None:
        print_document(text)
        return
    write_new(out, text)
    say(f"{out}: written from {file}, read as {resolved.dialect}. Next: tunelab check {out}")
    for note in resolved.notes:
        say(f"\nNote: {harmless(note)}")


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
