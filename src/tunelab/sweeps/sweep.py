"""The plan of a sweep, written once and never changed, and the files of a sweep.

.tunelab/sweeps/NAME/recipe.yaml          the user's recipe, resolved
.tunelab/sweeps/NAME/plan.json            everything else that was decided; written last: its presence makes a sweep
.tunelab/sweeps/NAME/trials/LABEL.json    the settings of a trial, written before its job is submitted
.tunelab/sweeps/NAME/trials/LABEL.pruned  why a trial is stopped early, written before it is
.tunelab/sweeps/NAME/trials/LABEL.failed  why its settings cannot be a recipe
.tunelab/sweeps/NAME/stop                 asks the controller to end
.tunelab/sweeps/NAME/lock                 held by the controller
.tunelab/sweeps/NAME/reserved.json        losses on the rows that no trial saw
.tunelab/sweeps/NAME/result.json          what came of it, and result.png
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from tunelab.errors import RunError, did_you_mean
from tunelab.files import write_file, write_json
from tunelab.recipes import Recipe, ResolvedRecipe, portable, resolve_recipe, to_yaml
from tunelab.recipes.recipe import changed
from tunelab.sweeps.read_record import read_record
from tunelab.sweeps.space import Choice, Range, Space
from tunelab.workspace import OWN_FOLDER, Workspace

BEGIN_AGAIN = "Begin the sweep again under another name."
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What was decided before the first run."""

    num_trials: int
    """At most; fewer if a space of choices has fewer points."""
    ranges: tuple[Range, ...]
    choices: tuple[Choice, ...]
    order: tuple[str, ...]
    """Keys of the space as they were given."""
    seeds: tuple[int, ...]
    """Values of `training.seed` with which the recipe itself is run; trials have the first."""
    parallel: int
    """Runs at once."""
    budget_s: float | None
    """No trial begins after so many seconds in which runs were at work; None for no limit."""
    total_steps: int
    """Optimizer steps of the recipe itself."""
    num_reserved: int
    """Conversations that no trial sees; 0 if there are too few."""
    num_measured: int
    """Conversations on which trials are measured."""
    own: dict[str, Any]
    """Settings in which the recipe of every run differs from the user's: same rows for all seeds, no comparison."""
    notes: tuple[str, ...] = ()
    """What was said when it began."""

    @property
    def space(self) -> Space:
        """What is searched."""
        every: list[Range | Choice] = [*self.ranges, *self.choices]
        known = {each.key: each for each in every}
        return tuple(known[key] for key in self.order)


class Sweep:
    """A sweep on disk.

    Args:
        workspace: the one that it lies in.
        name: its name.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.path = _home(workspace) / name

    @property
    def recipe_file(self) -> Path:
        """The user's recipe, resolved."""
        return self.path / "recipe.yaml"

    @property
    def plan_file(self) -> Path:
        """Its presence makes a sweep."""
        return self.path / "plan.json"

    @property
    def trials(self) -> Path:
        """Folder of a file for each trial."""
        return self.path / "trials"

    @property
    def stop_file(self) -> Path:
        """Asks the controller to end."""
        return self.path / "stop"

    @property
    def lock_file(self) -> Path:
        """Held by the controller."""
        return self.path / "lock"

    @property
    def reserved_file(self) -> Path:
        """Losses on the rows that no trial saw."""
        return self.path / "reserved.json"

    @property
    def result_file(self) -> Path:
        """What came of it."""
        return self.path / "result.json"

    @property
    def picture_file(self) -> Path:
        """Parallel coordinates of the trials."""
        return self.path / "result.png"

    @cached_property
    def plan(self) -> SweepPlan:
        """What was decided.

        Raises:
            RunError: the file is damaged.
        """
        return read_record(self.plan_file, SweepPlan, remedy=BEGIN_AGAIN)

    @cached_property
    def resolved(self) -> ResolvedRecipe:
        """The user's recipe."""
        return resolve_recipe(self.recipe_file, environment=None)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that every run of the sweep starts from, its names absolute."""
        return changed(self.resolved.anchored, self.plan.own)

    def refuse_taken(self) -> None:
        """Raise a RunError if there is a sweep of this name."""
        if self.plan_file.exists():
            remedy = f"Go on with it: tunelab sweep resume {self.name}. Another one needs another --name."
            raise RunError(f'there is a sweep "{self.name}" already', where=str(self.path), remedy=remedy)

    def begin(self, plan: SweepPlan, recipe: Recipe) -> None:
        """Write the user's anchored recipe, then the plan.

        Raises:
            RunError: there is a sweep of this name.
        """
        self.refuse_taken()
        write_file(self.recipe_file, to_yaml(portable(recipe, folder=self.path, workspace=self.workspace.path)))
        write_json(self.plan_file, msgspec.to_builtins(plan))


def new_sweep(workspace: Workspace, name: str) -> Sweep:
    """Return a sweep that is to begin.

    Raises:
        RunError: the name is none.
    """
    if not _NAME.fullmatch(name):
        expected = "at most 40 small letters, digits, dots, dashes and underscores, a letter or digit first"
        raise RunError(f'"{name}" is no name for a sweep', where="--name", expected=expected)
    return Sweep(workspace, name)


def find_sweep(workspace: Workspace, name: str) -> Sweep:
    """Return a sweep by its name.

    Raises:
        RunError: there is none.
    """
    known = [file.parent.name for file in sorted(_home(workspace).glob("*/plan.json"))]
    if name in known:
        return Sweep(workspace, name)
    remedy = did_you_mean(name, known) if known else "Begin one with: tunelab sweep RECIPE --over SETTING=LOW..HIGH"
    raise RunError(f'there is no sweep "{name}"', where=str(workspace.path), remedy=remedy)


def _home(workspace: Workspace) -> Path:
    return workspace.path / OWN_FOLDER / "sweeps"
