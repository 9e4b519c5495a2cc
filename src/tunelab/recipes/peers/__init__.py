"""Sub-room of the tools whose recipes are read: for each, what becomes of every key of its files.

A tool is a module with a table of its keys (`KEYS`), what it does where a file says nothing (`DEFAULTS`), and what
several keys decide together (`finish`). Pages, hints and the reading itself come from these tables.
"""

from __future__ import annotations

from typing import Any, Protocol

from tunelab.recipes.peers import axolotl, llama_factory, mlx_lm, openai_job, trl, unsloth
from tunelab.recipes.peers.key import Key
from tunelab.recipes.peers.reading import Reading


class Peer(Protocol):
    """A module that knows the recipes of one tool."""

    NAME: str
    PAGE: str
    """Name of its page in docs/from."""
    SIGNS: frozenset[str]
    """Keys that only its files have, dotted if they are in a mapping: one of them is enough to recognise a file."""
    KEYS: tuple[Key, ...]
    """What is known of each key; the first that has its name counts."""
    DEFAULTS: dict[str, Any]
    """Our setting -> what the tool does if its file says nothing, where that is not our default."""

    def finish(self, reading: Reading) -> None:
        """Set what several keys decide together."""


PEERS: tuple[Peer, ...] = (llama_factory, axolotl, unsloth, mlx_lm, trl, openai_job)
"""In the order in which a file is compared with them."""
