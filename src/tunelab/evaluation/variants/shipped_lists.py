"""The lists that come with tunelab, as they lie in `lists/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

_FOLDER = files("tunelab.evaluation.variants") / "lists"


def shipped_text(name: str) -> str:
    """Return the text of a file of `lists/`."""
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def shipped_list(name: str) -> Any:
    """Return what the YAML file `name` holds; the ending is left out."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(shipped_text(f"{name}.yaml"))
