"""From a file to what YAML makes of it, or why it is none."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, guess_file
from tunelab.files import read_small_file
from tunelab.sources.locate_data import DATA_SUFFIXES
from tunelab.sources.text_stream import unpacked_suffix

_LISTED_FILES = 8
MAX_RECIPE_BYTES = 256 * 2**10
"""A recipe is a page of settings; what is larger is some other file."""
NESTED = re.compile(r"[\[{](?:\s*[\[{]){50}")
"""Brackets over which ruamel would work for ten seconds before it finds them too many."""


def load(path: Path) -> Any:
    """Return what a YAML file holds, in ruamel's types, which know the line of each key.

    Raises:
        RecipeError: no such file, not UTF-8, no YAML, a duplicate key, a merge.
    """
    return parse(path, _read_text(path))


def parse(path: Path, text: str) -> Any:
    """Return what a YAML text holds, in ruamel's types; `path` is for messages.

    Raises:
        RecipeError: no YAML, a duplicate key, a merge.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class WithoutMerges(RoundTripConstructor):
        def flatten_mapping(self, node: Any) -> Any:
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    where = f"{path}:{key.start_mark.line + 1}"
                    raise RecipeError("merges (<<) are not read", where=where, expected="each setting written out")
            return super().flatten_mapping(node)

    loader = YAML(typ="rt")
    loader.Constructor = WithoutMerges
    try:
        if NESTED.search(text):
            raise RecursionError
        return loader.load(text)
    except RecipeError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = str(error.problem or error.context)
        if isinstance(error, DuplicateKeyError):
            what = problem.partition(" with value")[0].replace("found duplicate key", "a second value for the key")
            raise RecipeError(what, where=where, expected="each key once", remedy="Delete one of the two.") from error
        if "'\\t'" in problem:
            raise RecipeError(
                "this is a tab", where=where, expected="spaces", remedy="Replace tabs by spaces."
            ) from error
        raise RecipeError(f"this is not YAML ({problem})", where=where) from error
    except YAMLError as error:
        raise RecipeError("this is not YAML (it holds a control character)", where=str(path)) from error
    except RecursionError as error:
        raise RecipeError("brackets or mappings are nested too deep", where=str(path), expected="a recipe") from error
    except Exception as error:  # ruamel's own stumbling over a tag before, or digits of, a value of another kind
        what = f"a value is not of the kind that its tag or its digits say ({str(error).partition(';')[0]})"
        raise RecipeError(what, where=str(path)) from error


def _read_text(path: Path) -> str:
    if os.path.isdir(path):  # unlike Path.is_dir, at ease with names that can be none
        found = ", ".join(sorted(file.name for file in path.glob("*.y*ml"))) or "none"
        raise RecipeError(
            "this is a folder", where=str(path), expected="a recipe file", remedy=f"YAML files in it: {found}."
        )
    if not os.path.isfile(path):
        if os.path.exists(path):
            raise RecipeError("this is a pipe or a device", where=str(path), expected="a recipe file")
        others = [file.name for file in path.parent.glob("*.y*ml")] if os.path.isdir(path.parent) else []
        listed = ", ".join(sorted(others)[:_LISTED_FILES]) or "none"
        remedy = guess_file(path.name, others) or f"YAML files in that folder: {listed}."
        raise RecipeError("there is no such recipe", where=str(path), remedy=remedy)
    if unpacked_suffix(path) in DATA_SUFFIXES and not _is_fine_tuning_job(path):
        remedy = f"Put this line into recipe.yaml, and give that: data: {{train_files: {json.dumps(str(path))}}}"
        raise RecipeError("this is data, not a recipe", where=str(path), remedy=remedy)
    try:
        content = read_small_file(path, max_bytes=MAX_RECIPE_BYTES)
    except OSError as error:
        expected = f"at most {MAX_RECIPE_BYTES >> 10} KiB of YAML"
        raise RecipeError(
            f"it cannot be read ({error.strerror or error})", where=str(path), expected=expected
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        remedy = "Save the file as UTF-8."
        what = f"byte {content[error.start]:#04x} is not UTF-8"
        raise RecipeError(what, where=f"{path}:{line}", expected="UTF-8 text", remedy=remedy) from error


def _is_fine_tuning_job(path: Path) -> bool:
    """Return whether a JSON file is a job of OpenAI's API, and no rows."""
    try:
        return path.suffix == ".json" and b'"training_file"' in read_small_file(path, max_bytes=MAX_RECIPE_BYTES)
    except OSError:
        return False
