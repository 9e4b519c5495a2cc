"""Where the rows lie that another tool's recipe names: those tools start from the folder they are called in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunelab.conversations.field_map import LIST_FIELDS
from tunelab.conversations.messages import REASONING_FIELDS, ROLES
from tunelab.files import expanded
from tunelab.recipes.peers.reading import Reading
from tunelab.sources.hub import looks_like_hub
from tunelab.sources.locate_data import DATA_SUFFIXES
from tunelab.sources.text_stream import unpacked_suffix

_READ_ANYWAY = {
    "messages": LIST_FIELDS,
    "role": ("role", "from"),
    "content": ("content", "value"),
    "reasoning": REASONING_FIELDS,
}
"""Our name of a field -> the names that are read without a map."""
_ALIKE = "train on data sets that are alike, or write the rows of one in the form of the others"


def local_name(name: str, folder: Path) -> str:
    """Return a path as the recipe's folder sees it: as it is, or from the folder that the command runs in."""
    path = expanded(name)
    if os.path.isabs(path) or os.path.exists(folder / path) or not os.path.exists(path):
        return name
    return os.path.relpath(Path(path).absolute(), folder.absolute())


def rows_at(name: str, folder: Path, *, split: str = "") -> str:
    """Return a name for `data.train_files`: that of a local file or folder, else of a split on the Hub."""
    local = local_name(name, folder)
    is_there = os.path.exists(folder / expanded(local))
    if is_there or unpacked_suffix(Path(name)) in DATA_SUFFIXES or not looks_like_hub(name) or "[" in name:
        return local
    return f"{name}[{split or 'train'}]"


@dataclass(slots=True, kw_only=True)
class DataSets:
    """What the data sets of one recipe call what they hold; one recipe reads all of them alike."""

    fields: dict[str, str] = field(default_factory=dict)
    """Our name of a field -> theirs."""
    roles: dict[str, str] = field(default_factory=dict)
    """Their role -> ours."""
    formats: dict[str, str] = field(default_factory=dict)
    """Our format -> the first data set that has it."""

    def add(
        self, name: str, format: str, fields: Mapping[str, str], roles: Mapping[str, str], reading: Reading, key: str
    ) -> None:
        """Add a data set, and refuse names that cannot be read together with those before it."""
        self.formats.setdefault(format, name)
        for ours, theirs in fields.items():
            both = {self.fields.setdefault(ours, theirs), theirs}
            if len(both) > 1 and not both <= set(_READ_ANYWAY.get(ours, ())):
                self._refuse(
                    f"calls the field {ours} {theirs}, and those before it {self.fields[ours]}", name, reading, key
                )
        for theirs, ours in roles.items():
            if self.roles.setdefault(theirs, ours) != ours:
                self._refuse(f"reads the role {theirs} as {ours}, and those before it do not", name, reading, key)

    def _refuse(self, why: str, name: str, reading: Reading, key: str) -> None:
        reading.refuse(key, f"{name} {why}; {_ALIKE}", "data.field_map")

    def finish(self, reading: Reading, key: str) -> None:
        """Set the names that differ from those that are read anyway, and refuse rows of several formats."""
        known = {format: name for format, name in self.formats.items() if format}
        if len(known) > 1:
            each = ", ".join(f"{format} ({name})" for format, name in known.items())
            why = f"rows of one recipe have one format, and these data sets have {len(known)}: {each}; {_ALIKE}"
            reading.refuse(key, why)
            return
        fields = {ours: theirs for ours, theirs in self.fields.items() if theirs not in _READ_ANYWAY.get(ours, (ours,))}
        if {"role", "content"} & fields.keys():  # these two are read together, under one pair of names
            fields |= {ours: self.fields[ours] for ours in ("role", "content") if self.fields.get(ours, ours) != ours}
        if fields:
            reading.set("data.field_map", fields, key)
        if roles := {theirs: ours for theirs, ours in self.roles.items() if ROLES.get(theirs) != ours}:
            reading.set("data.role_map", roles, key)


def message_format(fields: Mapping[str, str]) -> str:
    """Return our format of messages whose role and content are called so."""
    return "sharegpt" if (fields.get("role"), fields.get("content")) == ("from", "value") else "messages"
