"""Settings of the rows that are read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tunelab.settings import marks


class SourceConfig(BaseModel):
    """Which rows are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    data_dir: str = "."
    """Folder that relative file names start from; itself relative to the recipe."""
    train_files: tuple[str, ...] = Field((), json_schema_extra=marks(everyday=True))
    """Training files: names, globs, folders with train.*/test.* inside, or name[split] of a Hub data set."""
    eval_files: tuple[str, ...] = Field((), json_schema_extra=marks(everyday=True))
    """Held-out files; when empty, a share of the training rows is held out (eval_fraction)."""
    train_samples: int | None = Field(None, ge=1, json_schema_extra=marks(unit="rows"))
    """At most this many training rows, sampled by seed; null takes all."""
    eval_samples: int | None = Field(None, ge=1, json_schema_extra=marks(unit="rows"))
    """At most this many held-out rows, sampled by seed; null takes all."""
    eval_fraction: float = Field(0.05, ge=0, le=0.9, json_schema_extra=marks(everyday=True))
    """Share of all rows held out when eval_files is empty, before rows are sampled; whole sessions stay together."""
    eval_reserved: float = Field(0.0, ge=0, le=0.9)
    """Share of the held-out rows that no run measures itself on, kept for a last figure of whichever was chosen; whole
    sessions stay together."""
    split_seed: int | None = Field(None, ge=0, le=2**32 - 1)
    """Seed of the split and of the samples, so that runs of several seeds are measured on the same rows; null takes
    training.seed."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What an unreadable row does: end the command, or be counted and listed."""
