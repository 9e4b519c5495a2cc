"""Settings of a suite's sections `robustness` and `bias`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

Perturbation = Literal[
    "typos", "case", "white_space", "look_alikes", "accents", "paraphrase", "long_context", "injection"
]
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)
SWAPS = ("names", "gender", "origin")
"""Kinds of the lists that come with tunelab."""


class RobustnessConfig(BaseModel):
    """Which perturbations of its prompts a model is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    kinds: Annotated[tuple[Perturbation, ...], Field(strict=False, min_length=1)] = PERTURBATIONS
    """How prompts are changed; one kind at a time."""
    num_rows: int = Field(100, ge=1)
    """So many rows of each task are changed by each kind; which ones is decided by the seed."""

    _once = field_validator("kinds")(lambda kinds: _each_once(kinds))


class BiasConfig(BaseModel):
    """Which swaps of its prompts a model is asked, and by which fields its rows are grouped."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    swaps: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")], ...], Field(strict=False)
    ] = SWAPS
    """Lists of words that are exchanged: names, gender, origin, or a kind of your own lists."""
    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Fields of the rows; how far the groups of each are apart is measured."""
    lists: str | None = None
    """A YAML file of your own lists; those of a kind that comes with tunelab are added to it."""
    num_rows: int = Field(1000, ge=1)
    """At most so many rows of each task are searched for words to exchange; which ones is decided by the seed."""

    _once = field_validator("swaps")(lambda kinds: _each_once(kinds))


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"names {twice} twice")
    return names
