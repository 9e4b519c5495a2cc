"""The recipes of other tools, by the table of each: every key becomes a setting, or is said to become none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunelab.recipes.peers import Peer
from tunelab.recipes.peers.key import Key
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.recipe import SECTIONS
from tunelab.recipes.yaml_document import Faults, Layer, Note, YamlDocument

_DEPTH = 5
"""Of Axolotl's data sets: a list of mappings, in which roles are a mapping to lists."""


@dataclass(frozen=True, slots=True)
class PeerDialect:
    """The dialect of one tool."""

    peer: Peer

    def signs(self, names: frozenset[str]) -> int:
        """Return how many keys the file has that only this tool's have; 0 if it has sections of ours."""
        found = self.peer.SIGNS & names
        ours = any(name.partition(".")[0] in SECTIONS for name in names if "." in name)
        return len(found) if not ours or any("." in name for name in found) else 0

    def num_known(self, names: frozenset[str]) -> int:
        """Return how many keys of the file are in the tool's table."""
        return sum(_known(name, self.peer.KEYS) is not None for name in names)

    def speaks(self, names: frozenset[str]) -> bool:
        """Return whether the file is one of this tool."""
        return bool(self.signs(names))

    def read(self, document: YamlDocument, faults: Faults) -> tuple[str, Layer, list[Note]]:
        """Return the tool's name, the canonical settings, and what to say of them."""
        entries = document.entries(opens=self._opens, depth=_DEPTH)
        reading = Reading(
            tool=self.peer.NAME,
            page=self.peer.PAGE,
            folder=document.path.parent,
            entries={entry.dotted: entry for entry in entries},
        )
        for setting, value in self.peer.DEFAULTS.items():
            reading.set(setting, value)
        for entry in entries:
            if key := _known(entry.dotted, self.peer.KEYS):
                reading.take(key, entry)
            elif entry.value is not None:
                reading.refuse_unknown(entry, self.peer.KEYS)
        with faults.noted():
            self.peer.finish(reading)
        reading.leave_out_unused(lambda name: _known(name, self.peer.KEYS))
        if refusal := reading.refusal(document.path):
            faults.append(refusal)
        return self.peer.NAME, reading.finished(), reading.all_notes()

    def _opens(self, dotted: str) -> bool:
        return any(key.name.startswith(f"{dotted}.") for key in self.peer.KEYS)


def _known(name: str, keys: Iterable[Key]) -> Key | None:
    return next((key for key in keys if key.names(name)), None)
