"""Dialects: tunelab's own form of a recipe and those of other tools, read into canonical settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tunelab.recipes.dialects import canonical, modellab, nested
from tunelab.recipes.yaml_document import Entry, Faults, Layer, Note


class Dialect(Protocol):
    """A module that knows one form of recipes."""

    def speaks(self, entries: Sequence[Entry]) -> bool:
        """Return whether a file is written in this dialect."""

    def read(self, entries: Sequence[Entry], path: Path, faults: Faults) -> tuple[str, Layer, list[Note]]:
        """Return the dialect's name, the canonical settings, and what to say of them; faults are noted."""


DIALECTS: tuple[Dialect, ...] = (nested, modellab, canonical)
"""In order: the first that recognises a file reads it."""
