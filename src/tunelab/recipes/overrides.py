"""Settings from outside the file: `--set section.key=value`, `LLM_<SECTION>__<KEY>` variables, `.env` files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError
from tunelab.files import read_small_file
from tunelab.recipes.keys import kinds
from tunelab.recipes.recipe import FIELDS
from tunelab.recipes.unknown_keys import check_key
from tunelab.recipes.yaml_document import MAX_RECIPE_BYTES, NESTED, Layer, Setting, plain

_VARIABLE = re.compile(r"LLM_([A-Z0-9_]+?)__([A-Z0-9_]+)")
_MERGE = re.compile(r"<<\s*:")
_COMMENT = re.compile(r"(?<!\s)\s+#")


def from_command_line(overrides: Sequence[str]) -> Layer:
    """Return the settings of `--set section.key=value` arguments; a later one wins."""
    layer: Layer = {}
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f'"{text}" has no equals sign', where="--set", expected="--set section.key=value")
        layer[dotted.strip()] = _setting(dotted.strip(), value, "--set")
    return layer


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Return the settings of `LLM_<SECTION>__<KEY>` variables; other variables are none of ours."""
    return {
        dotted: _setting(dotted, text, f"environment {name}")
        for name, text in sorted(environment.items())
        if (dotted := _dotted(name))
    }


def from_dotenv(file: Path) -> Layer:
    """Return the settings of a `.env` file: lines NAME=value, `export` and quotes allowed; empty without the file."""
    layer: Layer = {}
    try:
        content = read_small_file(file, max_bytes=MAX_RECIPE_BYTES) if file.is_file() else b""
    except OSError as error:
        raise RecipeError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        name, _, text = line.strip().removeprefix("export ").partition("=")
        if dotted := _dotted(name.strip()):
            layer[dotted] = _setting(dotted, _unquoted(text.strip()), f"{file.name}:{number}")
    return layer


def _dotted(variable: str) -> str:
    match = _VARIABLE.fullmatch(variable)
    return f"{match[1].lower()}.{match[2].lower().replace('__', '.')}" if match else ""


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    comment = _COMMENT.search(text)
    return text[: comment.start()] if comment else text


def _setting(dotted: str, text: str, source: str) -> Setting:
    check_key(dotted, source)
    if dotted not in FIELDS:
        raise RecipeError(f'"{dotted}" is a section', where=source, expected=f"one of its settings, as in {dotted}.key")
    return Setting(value=_parsed(dotted, text, source), source=source)


def _parsed(dotted: str, text: str, source: str) -> Any:
    """Return the value that `text` means: YAML, except that text settings may hold any text."""
    from ruamel.yaml import YAML

    if len(text) > MAX_RECIPE_BYTES:
        raise RecipeError(
            f"{dotted} has {len(text):,} characters", where=source, expected=f"at most {MAX_RECIPE_BYTES:,}"
        )
    allowed = kinds(dotted)
    try:
        value = text if NESTED.search(text) or _MERGE.search(text) else YAML(typ="safe", pure=True).load(text)
    except Exception:  # no YAML, or some over which ruamel itself stumbles
        value = text
    if str in allowed and not (value is None or type(value) in allowed or (tuple in allowed and isinstance(value, list))):
        value = text  # a prompt with a colon, a revision of digits only
    value = plain(value, source)
    if tuple in allowed and isinstance(value, str):
        parts = _at_commas(value)
        return parts if len(parts) > 1 or str not in allowed else value
    return value


def _at_commas(text: str) -> list[str]:
    """Return the parts of ``a, b``; commas of name[a,b] or {a,b}.jsonl part nothing."""
    parts, depth = [""], 0
    for piece in re.split(r"([,\[\]{}])", text):
        depth = max(0, depth + (piece in ("[", "{")) - (piece in ("]", "}")))
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]
