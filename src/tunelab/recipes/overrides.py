"""Settings from outside the file: `--set section.key=value`, `LLM_<SECTION>__<KEY>` variables, `.env` files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunelab.errors import RecipeError
from tunelab.files import read_small_file
from tunelab.recipes.keys import is_text, kinds
from tunelab.recipes.recipe import FIELDS
from tunelab.recipes.unknown_keys import check_key
from tunelab.recipes.yaml_document import Faults, Layer, Setting, plain
from tunelab.recipes.yaml_file import MAX_RECIPE_BYTES, NESTED

if TYPE_CHECKING:
    from dotenv.parser import Binding

_VARIABLE = re.compile(r"LLM_([A-Z0-9_]+?)__([A-Z0-9_]+)")
_LINE_OF_OURS = r"\s*(?:export\s+)?LLM_[A-Z0-9_]+__[A-Z0-9_]+\s*="
_OURS, _SWALLOWED = re.compile(_LINE_OF_OURS), re.compile(rf"[\r\n]{_LINE_OF_OURS}")
_MERGE = re.compile(r"<<\s*:")
_QUOTES = "Put the text between quotes."


def from_command_line(overrides: Sequence[str], faults: Faults) -> Layer:
    """Return the settings of `--set section.key=value` arguments; a later one wins, and faults are noted."""
    layer: Layer = {}
    for text in overrides:
        with faults.noted():
            dotted, equals, value = text.partition("=")
            if not equals:
                raise RecipeError(f'"{text}" has no equals sign', where="--set", expected="--set section.key=value")
            layer[dotted.strip()] = read_setting(dotted.strip(), value, "--set")
    return layer


def from_environment(environment: Mapping[str, str], faults: Faults) -> Layer:
    """Return the settings of `LLM_<SECTION>__<KEY>` variables; others are none of ours, and faults are noted."""
    layer: Layer = {}
    for name, text in sorted(environment.items()):
        with faults.noted():
            if dotted := _dotted(name):
                layer[dotted] = read_setting(dotted, text, f"environment {name}")
    return layer


def from_dotenv(file: Path) -> Layer:
    """Return the settings of a `.env` file, as python-dotenv reads it; empty without the file.

    Raises:
        RecipeError: a line of ours is none, or may mean two things.
    """
    return {
        dotted: read_setting(dotted, binding.value or "", where)
        for binding, where in _bindings(file)
        if (dotted := _dotted(binding.key or "")) and _is_unmistakable(binding, dotted, where)
    }


def _bindings(file: Path) -> Iterator[tuple[Binding, str]]:
    """Yield the lines of a `.env` file that set something, and the place of each; those of others may be anything."""
    from dotenv.parser import parse_stream

    for binding in parse_stream(io.StringIO(_text_of(file))):
        text = binding.original.string.lstrip()
        skipped = binding.original.string.removesuffix(text)
        where = f"{file.name}:{binding.original.line + len(skipped.splitlines())}"
        if binding.error and _OURS.match(text):
            raise RecipeError("this line cannot be read", where=where, expected="NAME=value, and quotes that end")
        if _SWALLOWED.search(text):
            what, remedy = "the quote that opens here ends after other settings", "Close it on its own line."
            raise RecipeError(what, where=where, remedy=remedy)
        if _dotted(binding.key or ""):
            yield binding, where


def _text_of(file: Path) -> str:
    try:
        content = read_small_file(file, max_bytes=MAX_RECIPE_BYTES) if file.is_file() else b""
    except OSError as error:
        raise RecipeError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error
    if b"LLM_" not in content.replace(b"\0", b""):
        return ""  # a file of others, whatever it holds
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"byte {content[error.start]:#04x} is not UTF-8"
        raise RecipeError(what, where=f"{file.name}:{line}", remedy="Save the file as UTF-8.") from error
    if "\0" in text:
        raise RecipeError("this is not UTF-8 but UTF-16", where=file.name, remedy="Save the file as UTF-8.")
    return text


def _is_unmistakable(binding: Binding, dotted: str, where: str) -> bool:
    """Return True for a line that can mean one thing alone.

    Raises:
        RecipeError: a line without quotes goes on in the next one, or holds what may be a comment.
    """
    given = binding.original.string.strip().partition("=")[2].strip()
    if given.startswith(("'", '"')):
        return True
    if given.endswith("\\"):
        raise RecipeError("this line ends in a backslash", where=where, expected="one line", remedy=_QUOTES)
    if dotted in FIELDS and (is_text(dotted) or _is_names(dotted)) and given != (binding.value or ""):
        what = f"what comes after # may be a comment or part of {dotted}"
        raise RecipeError(what, where=where, remedy=f"{_QUOTES} A comment needs a line of its own.")
    return True


def _dotted(variable: str) -> str:
    match = _VARIABLE.fullmatch(variable)
    return f"{match[1].lower()}.{match[2].lower().replace('__', '.')}" if match else ""


def read_setting(dotted: str, text: str, source: str) -> Setting:
    """Return what a text means for a setting.

    Raises:
        RecipeError: there is no such setting.
    """
    check_key(dotted, source)
    if dotted not in FIELDS:
        raise RecipeError(f'"{dotted}" is a section', where=source, expected=f"one of its settings, as in {dotted}.key")
    return Setting(value=_parsed(dotted, text, source), source=source)


def _parsed(dotted: str, text: str, source: str) -> Any:
    """Return the value that `text` means.

    A text is taken as it is: nothing in it is a comment, a quote or a number. Names are parted at commas. Anything else
    is YAML. `null` is null where a setting may be null; nothing is an empty text or list, or else null.
    """
    if len(text) > MAX_RECIPE_BYTES:
        raise RecipeError(
            f"{dotted} has {len(text):,} characters", where=source, expected=f"at most {MAX_RECIPE_BYTES:,}"
        )
    allowed = kinds(dotted)
    if type(None) in allowed and text.strip() == "null":
        return None
    if is_text(dotted):
        return plain(text, source)
    if _is_names(dotted):
        return plain(_names(text, one=str in allowed), source)
    value = plain(_from_yaml(text), source)
    if str in allowed and type(value) not in allowed:
        value = text.strip()  # a word such as no, which YAML reads otherwise
    if tuple in allowed and isinstance(value, str):
        return [plain(_from_yaml(part), source) for part in _at_commas(value)]
    return value


def _is_names(dotted: str) -> bool:
    allowed = kinds(dotted)
    return tuple in allowed and allowed <= {tuple, str, type(None)}


def _names(text: str, *, one: bool) -> Any:
    """Return names: a list in brackets, or the parts between commas; a single one as it is if it may be `one`."""
    listed = _from_yaml(text) if text.lstrip().startswith("[") else text
    if isinstance(listed, list):
        return listed
    parts = _at_commas(text) if text.strip() else []
    return parts[0] if one and len(parts) == 1 else parts


def _from_yaml(text: str) -> Any:
    """Return what YAML makes of `text`; the text itself if it is none."""
    from ruamel.yaml import YAML

    if NESTED.search(text) or _MERGE.search(text):
        return text
    try:
        return YAML(typ="safe", pure=True).load(text)
    except Exception:  # no YAML, or some over which ruamel itself stumbles
        return text


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
