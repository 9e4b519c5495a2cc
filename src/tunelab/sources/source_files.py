"""The files that rows are read from: training files and held-out ones."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of rows, or a split of a Hub data set."""

    name: str
    """As messages show it: relative to the data folder if it lies inside; ``owner/name[split]`` for the Hub."""
    path: Path | None
    """None for a split of a Hub data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """What a recipe's `train_files` and `eval_files` refer to."""

    train: tuple[SourceFile, ...]
    eval: tuple[SourceFile, ...]
    """Empty if a share of the training rows is to be held out."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, to be reported: what each file of a folder is for, and which files were ignored."""
    ignored: tuple[str, ...] = ()
    """Of the notes, the files that were ignored, for each name that was given."""
