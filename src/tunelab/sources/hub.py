"""Splits of data sets on the Hugging Face Hub, through the optional `datasets` package."""

import re
from collections.abc import Iterator
from typing import Any

from tunelab.errors import DataError, MissingExtraError
from tunelab.sources.row import Origin, Row
from tunelab.sources.source_files import SourceFile

_NAME = re.compile(r"(?P<data_set>[\w.-]+(?:/[\w.-]+)?)(?:\[(?P<split>[^\[\]]+(?:\[[^\]]*\])?)\])?")
HELD_OUT_SPLITS = ("validation", "valid", "eval", "dev", "test")


def looks_like_hub(name: str) -> bool:
    """Tell whether a name that is no local file may be ``owner/name``, ``owner/name[split]`` or ``name[split]``."""
    found = _NAME.fullmatch(name)
    if found is None or name.startswith((".", "~", "/")):
        return False
    return "/" in name.partition("[")[0] or found["split"] is not None


def locate_splits(name: str) -> tuple[list[SourceFile], list[SourceFile]]:
    """Return the training and held-out splits that a name refers to; a split that is named is the only one.

    Raises:
        MissingExtraError: `datasets` is not installed.
        DataError: the Hub cannot be reached, or has no such data set or split.
    """
    data_set, split = _parts(name)
    if split:
        return [SourceFile(name=name, path=None)], []
    found = [str(each) for each in _ask(name, "get_dataset_split_names", data_set)]
    if "train" not in found:
        raise DataError(
            f'the data set has no split "train", only {", ".join(found)}',
            where=name,
            remedy=f"Name one: {data_set}[{found[0]}].",
        )
    held_out = [each for each in HELD_OUT_SPLITS if each in found][:1]
    train, test = (
        [SourceFile(name=f"{data_set}[{each}]", path=None) for each in some] for some in (["train"], held_out)
    )
    return train, test


def read_split(name: str) -> Iterator[Row]:
    """Yield the rows of one split; their lines are row numbers."""
    data_set, split = _parts(name)
    for number, value in enumerate(_ask(name, "load_dataset", data_set, split=split), start=1):
        yield Row(value=dict(value), origin=Origin(path=name, line=number))


def _parts(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    assert found, "locate_splits is called only for names that look_like_hub"
    return found["data_set"], found["split"] or ""


def _ask(name: str, verb: str, *arguments: str, **options: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        package = f'the datasets package ("{name}" is no file or folder here, and so taken for a data set of the Hub)'
        raise MissingExtraError(package, extra="hub") from error
    try:
        return getattr(datasets, verb)(*arguments, **options)
    except ValueError as error:  # an unknown split
        raise DataError(str(error).splitlines()[0], where=name) from error
    except Exception as error:  # the package lets errors of three HTTP libraries through
        what = f"no file or folder has this name, and the Hub cannot be reached or has none ({type(error).__name__})"
        raise DataError(what, where=name, remedy="Check the name and the network, or give a local file.") from error
