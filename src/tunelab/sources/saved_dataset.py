"""Folders that `save_to_disk` of the datasets package wrote: they name their parts, and all of them must be there."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tunelab.errors import DataError, counted
from tunelab.files import read_small_file

_MAX_BYTES = 16 * 2**20


def refuse_missing_parts(folder: Path, shown: str) -> None:
    """Raise a DataError if a saved data set names a shard or a split that its folder does not hold.

    Args:
        shown: what messages call the folder.
    """
    named = [(name, listing) for listing, names in _parts(folder) for name in names]
    missing = [(name, listing) for name, listing in named if not (folder / name).exists()]
    if missing:
        name, listing = missing[0]
        more = f" (and {len(missing) - 1:,} more of {counted(len(named), 'part')})" if len(missing) > 1 else ""
        raise DataError(
            f"{listing} names {name}{more}, which is not here",
            where=shown,
            expected="the whole data set, as save_to_disk wrote it",
            remedy=f"Copy the folder again. If the rest is enough, take {name} out of {listing}.",
        )


def _parts(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each file that lists parts, with the parts that it names."""
    shards = _listed(folder / "state.json", "_data_files")
    yield "state.json", _names(each.get("filename") for each in shards if isinstance(each, dict))
    yield "dataset_dict.json", _names(_listed(folder / "dataset_dict.json", "splits"))


def _names(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _listed(file: Path, key: str) -> list[object]:
    """Return a list in a file of the datasets package; empty if the file is another program's, or not there."""
    if not file.is_file():
        return []
    try:
        content = msgspec.json.decode(read_small_file(file, max_bytes=_MAX_BYTES))
    except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, list) else []
