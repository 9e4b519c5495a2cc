"""What came of a sweep: the table, which settings matter, and whether the best trial beats the noise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tunelab.files import write_json
from tunelab.sweeps.controller import best_of
from tunelab.sweeps.importance import Importance, importance_of
from tunelab.sweeps.noise import Comparison, GroupLosses, Noise, compared
from tunelab.sweeps.picture import draw
from tunelab.sweeps.read_record import read_record
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import BASE, BEST, Trial, Trials, TrialState
from tunelab.workspace import Run

Measure = Callable[[Sweep, Sequence[Run]], dict[str, GroupLosses]]
"""Returns the losses of runs on the rows that no trial saw, by run id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a sweep."""

    num_trials: int
    """How many were measured to their end, or until they were stopped since others were better."""
    noise: Noise
    """The recipe itself, on the rows that trials are measured on."""
    best: str | None
    """Label of the best trial; None if none is better than the recipe."""
    best_loss: float | None
    """Its held-out loss, on the rows it was chosen by."""
    comparison: Comparison | None
    """On rows that no trial saw; None if there are too few, or nothing to compare."""
    importance: Importance | None
    """None of too few trials."""
    other_data: tuple[str, ...] = ()
    """Labels of runs that read other data than the first one: files were changed while the sweep went on."""

    def sentence(self) -> str:
        """Return whether the best trial beats the noise."""
        if not self.num_trials:
            return "No trial was measured: there is nothing to compare with the recipe."
        if self.best is None:
            return "No trial is better than the recipe."
        if self.comparison is None:
            return f"Whether trial {self.best} beats the noise is not known: there is no figure on rows it did not see."
        if self.comparison.num_seeds == 1:
            return f"Whether trial {self.best} beats the noise is not known: one seed shows none."
        if self.comparison.beats_noise:
            return f"Trial {self.best} beats the noise."
        return f"Trial {self.best} cannot be distinguished from noise."


def conclude(sweep: Sweep, trials: Mapping[str, Trial], runs: Trials, *, measure: Measure) -> Result:
    """Return the result of a sweep whose runs have ended; result.json and result.png are written."""
    best = best_of(trials)
    measured = [
        each for each in trials.values() if each.number and (each.loss is not None or each.state is TrialState.PRUNED)
    ]
    result = Result(
        num_trials=len(measured),
        noise=Noise(losses=_losses(trials, BASE)),
        best=best.label if best else None,
        best_loss=best.loss if best else None,
        comparison=_comparison(sweep, trials, runs, best, measure) if best else None,
        importance=importance_of(sweep.plan.space, [each for each in trials.values() if each.number is not None]),
        other_data=_other_data(sweep, trials, runs),
    )
    draw(sweep, trials, result.noise, best.label if best else None)
    write_json(sweep.result_file, asdict(result))
    return result


def read_result(sweep: Sweep) -> Result | None:
    """Return the result of a sweep; None before its end."""
    if not sweep.result_file.exists():
        return None
    again = f"Delete it, and make it again: tunelab sweep resume {sweep.name}."
    return read_record(sweep.result_file, Result, remedy=again)


def measure_reserved(sweep: Sweep, runs: Sequence[Run]) -> dict[str, GroupLosses]:
    """Return the losses of runs on the rows that no trial saw, by run id; a process of its own takes them."""
    out = sweep.reserved_file
    names = [run.id for run in runs]
    if not out.exists() or sorted(_read(out)) != sorted(names):
        command = [
            sys.executable,
            "-P",
            "-m",
            "tunelab.flows.reserved_loss",
            str(out),
            *(str(run.path) for run in runs),
        ]
        with (sweep.path / "reserved.log").open("wb") as log:
            subprocess.run(command, env=os.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    return _read(out) if out.exists() else {}


def _read(file: Path) -> dict[str, Any]:
    remedy = "Delete it, and give the same command again."
    return read_record(file, dict[str, dict[str, tuple[float, float]]], remedy=remedy)


def _other_data(sweep: Sweep, trials: Mapping[str, Trial], runs: Trials) -> tuple[str, ...]:
    if any(each.key.startswith("data.") for each in sweep.plan.space):
        return ()
    finished = [trial for trial in trials.values() if trial.loss is not None]
    hashes = {trial.label: runs.run_of(trial).read_manifest().data_sha256 for trial in finished}
    first = next(iter(hashes.values()), "")
    return tuple(label for label, each in hashes.items() if each != first)


def _losses(trials: Mapping[str, Trial], kind: str) -> tuple[float, ...]:
    return tuple(t.loss for t in trials.values() if t.label.startswith(kind) and t.loss is not None)


def _comparison(
    sweep: Sweep, trials: Mapping[str, Trial], runs: Trials, best: Trial, measure: Measure
) -> Comparison | None:
    """Return recipe and best trial on the rows that no trial saw, over the seeds that both were run with."""
    if not sweep.plan.num_reserved:
        return None
    pairs = [(f"{BASE}1", best.label), *((f"{BASE}{n}", f"{BEST}{n}") for n in range(2, len(sweep.plan.seeds) + 1))]
    both = [
        (runs.run_of(trials[recipe]), runs.run_of(trials[repeated]))
        for recipe, repeated in pairs
        if all(label in trials and trials[label].loss is not None for label in (recipe, repeated))
    ]
    losses = measure(sweep, list(chain.from_iterable(both)))
    if not both or any(run.id not in losses for run in chain.from_iterable(both)):
        return None
    recipe, repeated = zip(*both, strict=True)
    return compared([losses[run.id] for run in recipe], [losses[run.id] for run in repeated])
