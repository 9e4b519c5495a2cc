"""The JSON files that describe a model, read for what they say. Imports no torch."""

import json
from pathlib import Path
from typing import Any


def read_description(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Return the object that a file in a model's folder holds; empty if it cannot be read or holds none.

    Whoever loads the model says so, and better.
    """
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
