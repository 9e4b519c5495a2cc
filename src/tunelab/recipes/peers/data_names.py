"""Where the rows lie that another tool's recipe names: those tools start from the folder they are called in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tunelab.files import expanded
from tunelab.recipes.peers.reading import Reading
from tunelab.sources.hub import looks_like_hub
from tunelab.sources.locate_data import DATA_SUFFIXES
from tunelab.sources.text_stream import unpacked_suffix


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


def refuse_mixed_formats(formats: Iterable[str], reading: Reading, key: str) -> None:
    """Refuse data sets whose rows have several formats: those of one recipe have one."""
    known = list(dict.fromkeys(each for each in formats if each))
    if len(known) > 1:
        why = f"rows of one recipe have one format, and these data sets have {len(known)}: {', '.join(known)}"
        reading.refuse(key, why, "data.format")


def join_names(
    joined: dict[str, str], more: Mapping[str, str], data_set: str, reading: Reading, key: str, setting: str
) -> None:
    """Add the names that a data set has for fields or roles to those of the data sets before it."""
    if clash := next((each for each in more if joined.get(each, more[each]) != more[each]), None):
        why = f"{data_set} has another name for {clash} than the data sets before it, and one map is for all"
        reading.refuse(key, why, setting)
    joined.update(more)
