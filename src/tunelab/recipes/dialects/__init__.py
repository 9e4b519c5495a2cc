"""Dialects: tunelab's own form of a recipe and those of other tools, read into canonical settings."""

from __future__ import annotations

from typing import Protocol

from tunelab.recipes.dialects import canonical, modellab, nested
from tunelab.recipes.dialects.peer import PeerDialect
from tunelab.recipes.peers import PEERS
from tunelab.recipes.yaml_document import Faults, Layer, Note, YamlDocument


class Dialect(Protocol):
    """Who knows one form of recipes."""

    def speaks(self, names: frozenset[str]) -> bool:
        """Return whether a file with these keys, and `key.name` of those in mappings, is written in this dialect."""

    def read(self, document: YamlDocument, faults: Faults) -> tuple[str, Layer, list[Note]]:
        """Return the dialect's name, the canonical settings, and what to say of them; faults are noted."""


DIALECTS: tuple[Dialect, ...] = (*map(PeerDialect, PEERS), nested, modellab, canonical)
"""In order: the first that recognises a file reads it."""
