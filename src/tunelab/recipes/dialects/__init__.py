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


_PEERS = tuple(map(PeerDialect, PEERS))
_OWN: tuple[Dialect, ...] = (nested, modellab, canonical)
DIALECTS: tuple[Dialect, ...] = (*_PEERS, *_OWN)


def dialect_of(names: frozenset[str]) -> Dialect:
    """Return the dialect that a file with these keys is written in.

    Of other tools it is the one with most signs, and of equals the one that knows most of the keys: a key of another
    tool among them is a mistake, and refused as one.
    """
    nearest = max(_PEERS, key=lambda each: (each.signs(names), each.num_known(names)))
    return next(each for each in (nearest, *_OWN) if each.speaks(names))
