"""The best trial of a sweep as a short recipe; comments say where its values came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tunelab.errors import RunError
from tunelab.recipes import convert
from tunelab.recipes.explain import defaults_of
from tunelab.recipes.recipe import changed, settings_of
from tunelab.sweeps.controller import best_of
from tunelab.sweeps.noise import Noise
from tunelab.sweeps.result import Result
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import BASE, Trial


def best_recipe(sweep: Sweep, trials: Mapping[str, Trial], result: Result | None, *, folder: Path) -> str:
    """Return the text of the recipe with the values of the best trial, for a file in `folder`.

    Raises:
        RunError: no trial has finished, or none is better than the recipe itself.
    """
    best = best_of(trials)
    if best is None:
        finished = any(trial.loss is not None for trial in trials.values() if trial.number is not None)
        what = "no trial is better than the recipe itself" if finished else "no trial has finished yet"
        raise RunError(what, where=sweep.name, remedy=f"What there is: tunelab sweep show {sweep.name}")
    resolved, keys = sweep.resolved, [each.key for each in sweep.plan.space]
    values = {key: best.settings[key] for key in keys}
    recipe = changed(resolved.recipe, values)
    defaults = defaults_of(recipe)
    sources = {
        key: f"trial {best.label}" if key in values else "default" if value == defaults[key] else resolved.sources[key]
        for key, value in settings_of(recipe).items()
    }
    chosen = replace(resolved, recipe=recipe, sources=sources, notes=tuple(_notes(trials, best, result)))
    title = f"Trial {best.label} of {sweep.plan.num_trials} of the sweep {sweep.name}."
    return convert(chosen, folder=folder, title=title)


def _notes(trials: Mapping[str, Trial], best: Trial, result: Result | None) -> list[str]:
    base = tuple(trial.loss for label, trial in trials.items() if label.startswith(BASE) and trial.loss is not None)
    noise = f"; the recipe itself has {Noise(losses=base).describe()}" if base else ""
    notes = [f"Held-out loss {best.loss:.4f} on the rows it was chosen by{noise}."]
    if result is None or result.best != best.label:
        return [*notes, "The sweep has not ended: whether this is more than noise is not known yet."]
    if result.comparison is not None:
        notes.append(result.comparison.describe())
    return [*notes, result.sentence()]
