"""Everything that is decided before the first run of a sweep, and everything that keeps it from beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.errors import RecipeError, UserError, counted
from tunelab.evaluation.statistics.groups import FEWEST_GROUPS
from tunelab.flows.training.plan import make_schedule
from tunelab.jobs.slots import MOST_SLOTS
from tunelab.models.locate_model import locate_model
from tunelab.recipes import Recipe, ResolvedRecipe
from tunelab.recipes.recipe import changed, settings_of
from tunelab.rendering.load_renderer import load_renderer
from tunelab.sweeps.curve import RUNGS
from tunelab.sweeps.space import Choice, Range, cut_warmup, num_points, read_space
from tunelab.sweeps.sweep import SweepPlan

RESERVED = 0.5
"""Share of the held-out rows that no trial sees."""
_MOST_SEEDS = 100
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """What the command line asks for."""

    num_trials: int
    over: Sequence[str] = ()
    space: str | None = None
    parallel: int = 1
    budget_s: float | None = None
    num_seeds: int = 3


def prepare(resolved: ResolvedRecipe, requested: Requested) -> SweepPlan:
    """Return the plan of a sweep over a recipe. Its data are read and rendered, as training will.

    Raises:
        UserError: a number, a setting or a range that is impossible; data that cannot be read; no held-out rows.
    """
    _refuse_numbers(requested)
    space, notes = read_space(requested.over, resolved, name=requested.space)
    own = _own(resolved)
    recipe = changed(resolved.anchored, own)
    if recipe.training.eval_strategy == "no":
        what = "the recipe measures no held-out loss (training.eval_strategy is no)"
        raise RecipeError(what, where=_place(resolved), remedy="Add --set training.eval_strategy=steps.")
    data = _read(recipe, resolved)
    num_measured, num_reserved = _num_groups(data), _num_groups(_read(recipe, resolved, reserved=True))
    if not num_measured + num_reserved:
        what, remedy = "no rows are held out, and trials are compared on these", "Set data.eval_fraction or eval_files."
        raise RecipeError(what, where=_place(resolved), remedy=remedy)
    if min(num_measured, num_reserved) < FEWEST_GROUPS:
        own["data.eval_reserved"], num_measured, num_reserved = 0.0, num_measured + num_reserved, 0
    total_steps = make_schedule(recipe, data.train_sequences).total_steps
    space, said = cut_warmup(space, total_steps=total_steps)
    num_trials = int(min(requested.num_trials, num_points(space)))
    notes += [
        *said,
        *_on_rows(num_measured, num_reserved),
        *_on_trials(num_trials, requested.num_trials),
        *_on_pruning(recipe, total_steps),
        *_on_settings(resolved.recipe),
    ]
    first = recipe.training.seed
    return SweepPlan(
        num_trials=num_trials,
        ranges=tuple(each for each in space if isinstance(each, Range)),
        choices=tuple(each for each in space if isinstance(each, Choice)),
        order=tuple(each.key for each in space),
        seeds=tuple((first + number) % (_LAST_SEED + 1) for number in range(requested.num_seeds)),
        parallel=requested.parallel,
        budget_s=requested.budget_s,
        total_steps=total_steps,
        num_reserved=num_reserved,
        num_measured=num_measured,
        own=own,
        notes=tuple(notes),
    )


def _refuse_numbers(requested: Requested) -> None:
    for flag, number, most in (
        ("--trials", requested.num_trials, None),
        ("--parallel", requested.parallel, MOST_SLOTS),
        ("--seeds", requested.num_seeds, _MOST_SEEDS),
    ):
        if number < 1 or (most is not None and number > most):
            raise UserError(f"{flag} is {number}", expected=f"1 to {most:,}" if most else "1 or more")


def _own(resolved: ResolvedRecipe) -> dict[str, object]:
    """Return the settings in which the recipe of every run differs from the user's."""
    settings = settings_of(resolved.recipe)
    split_seed = settings["data.split_seed"]
    return {
        "data.split_seed": settings["training.seed"] if split_seed is None else split_seed,
        "data.eval_reserved": settings["data.eval_reserved"] or RESERVED,
        "evaluation.compare": False,
        "training.output_dir": None,
    }


def _read(recipe: Recipe, resolved: ResolvedRecipe, *, reserved: bool = False) -> Dataset:
    folder = locate_model(recipe.model, base=resolved.base)
    renderer = load_renderer(folder, recipe.data, base=resolved.base)
    data = gather(recipe.data, base=resolved.base, seed=recipe.training.seed, renderer=renderer, reserved=reserved)
    if not data.train_sequences:
        raise RecipeError("no row can be trained", where=_place(resolved), remedy="tunelab check RECIPE says why.")
    return data


def _num_groups(data: Dataset) -> int:
    return len({sequence.group for sequence in data.held_out_sequences})


def _place(resolved: ResolvedRecipe) -> str:
    return str(resolved.file or "")


def _on_rows(num_measured: int, num_reserved: int) -> list[str]:
    held = counted(num_measured + num_reserved, "held-out conversation")
    if num_reserved:
        rest = f"trials are measured on the other {num_measured:,}"
        return [f"{num_reserved:,} of {held} are set aside for the last figure: no trial sees them; {rest}"]
    few = f"{held}, and at least {2 * FEWEST_GROUPS} are needed to set half of them aside"
    return [f"the best trial will get no figure on rows that no trial saw: there are only {few}"]


def _on_trials(num_trials: int, requested: int) -> list[str]:
    if num_trials == requested:
        return []
    return [f"{counted(num_trials, 'trial')} instead of {requested:,}: the space has no more points"]


def _on_pruning(recipe: Recipe, total_steps: int) -> list[str]:
    training = recipe.training
    if training.eval_strategy != "steps" or training.eval_steps <= total_steps * RUNGS[-1]:
        return []
    least = max(1, int(total_steps * RUNGS[0]))
    what = f"held-out loss is measured every {training.eval_steps:,} of {counted(total_steps, 'step')}"
    return [f"{what}: too late to stop most bad trials early. --set training.eval_steps={least} would"]


def _on_settings(recipe: Recipe) -> list[str]:
    notes = []
    if recipe.evaluation.compare:
        notes.append("evaluation.compare is off in the runs of the sweep")
    if recipe.training.output_dir:
        notes.append("training.output_dir counts for no run of the sweep: each has a folder of its own in runs")
    return notes
