"""The files that rows are read from, by side."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of rows, or a split of a Hub data set."""

    name: str
    """As messages show it: relative to the data folder where it lies inside; ``owner/name[split]`` for the Hub."""
    path: Path | None
    """None for a split of a Hub data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """What a recipe's `train_files` and `eval_files` stand for."""

    train: tuple[SourceFile, ...]
    eval: tuple[SourceFile, ...]
    """Empty where a share of the training rows is to be held out."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, to be said aloud: which file of a folder is which side, and what was left aside."""
    left_aside: tuple[str, ...] = ()
    """Of the notes, what each name left aside, in words of its own."""
