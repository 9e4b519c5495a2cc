"""What `tunelab sweep` prints: the plan, each run as it goes on, the table of the trials, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tunelab.cli.console import harmless, named, print_table, say, this_command
from tunelab.errors import listed
from tunelab.recipes.keys import shown

if TYPE_CHECKING:
    from tunelab.jobs.store import Store
    from tunelab.sweeps.result import Result
    from tunelab.sweeps.sweep import Sweep
    from tunelab.sweeps.trials import Trial

_SHOWN = 20


def say_plan(sweep: Sweep) -> None:
    """Print what is to be tried."""
    plan = sweep.plan
    say(f"Sweep    {sweep.name} in {named(sweep.path)}: up to {plan.num_trials:,} trials of {plan.total_steps:,} steps")
    for each in plan.space:
        say(f"  {each.key}  {each.describe()}")
    for note in plan.notes:
        say(f"Note: {harmless(note)}.")
    say()


def say_trial(trial: Trial) -> None:
    """Print where a run is."""
    from tunelab.sweeps.trials import TrialState

    if trial.state in (TrialState.NEW, TrialState.QUEUED):
        return
    what = trial.label if trial.number is None else f"trial {trial.label}"
    said = f"held-out loss {trial.loss:.4f}" if trial.loss is not None else harmless(trial.reason)
    values = _values(trial) if trial.state is TrialState.RUNNING else ""
    say(f"{what:<10} {trial.state:<9} {said or values}".rstrip())


def _values(trial: Trial) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {shown(_rounded(value))}" for key, value in trial.settings.items())


def _rounded(value: object) -> object:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def show(sweep: Sweep, store: Store) -> None:
    """Print the trials, the best first, and what came of them."""
    from tunelab.sweeps.noise import Noise
    from tunelab.sweeps.result import read_result
    from tunelab.sweeps.trials import BASE, Trials

    trials = Trials(sweep, store).look()
    losses = tuple(t.loss for label, t in trials.items() if label.startswith(BASE) and t.loss is not None)
    numbered = sorted((trial for trial in trials.values() if trial.number is not None), key=_by_loss)
    keys = [each.key for each in sweep.plan.space]
    rows = [
        [trial.label, trial.state.value, _loss(trial), *(_cell(trial.settings[key]) for key in keys)]
        for trial in numbered[:_SHOWN]
    ]
    if rows:
        print_table(["trial", "state", "held-out loss", *(key.rpartition(".")[2] for key in keys)], rows)
    if len(numbered) > _SHOWN:
        say(f"… {len(numbered) - _SHOWN:,} more; --json lists all.")
    if losses:
        say(f"The recipe itself: {Noise(losses=losses).describe()}")
    if (result := read_result(sweep)) is None:
        say(f"Trials   {len(numbered):,} of up to {sweep.plan.num_trials:,}. Go on with it: {how_to_resume(sweep)}")
        return
    _say_result(sweep, trials, result)


def _say_result(sweep: Sweep, trials: Mapping[str, Trial], result: Result) -> None:
    if result.importance is not None:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in result.importance.shares.items())
        say(f"What matters ({result.importance.describe()}): {shares}")
    if result.other_data:
        of = listed(result.other_data)
        say(f"Warning: the data files were changed while the sweep went on; not comparable with the first run: {of}.")
    if result.comparison is not None:
        say(result.comparison.describe())
    say(result.sentence())
    if sweep.picture_file.exists():
        say(f"Picture  {named(sweep.picture_file)}")
    if result.best is not None and (job := trials[result.best].job) is not None:
        recipe = sweep.workspace.path / ".tunelab" / "job" / job.id / "recipe.yaml"
        say(f"By hand  {this_command()} train {named(recipe)} --run {job.id}")
        say(f"Next     {this_command()} sweep best {sweep.name} -o {sweep.name}-best.yaml")


def document(sweep: Sweep, store: Store) -> dict[str, Any]:
    """Return all that is known of a sweep, for programs."""
    from tunelab.sweeps.result import read_result
    from tunelab.sweeps.trials import Trials

    result = read_result(sweep)
    trials = [
        {
            "label": trial.label,
            "state": trial.state,
            "settings": dict(trial.settings),
            "held_out_loss": trial.loss,
            "curve": trial.curve.points,
            "reason": trial.reason,
            "job": trial.job.id if trial.job else None,
        }
        for trial in Trials(sweep, store).look().values()
    ]
    plan = asdict(sweep.plan)
    return {"name": sweep.name, "plan": plan, "trials": trials, "result": None if result is None else asdict(result)}


def _by_loss(trial: Trial) -> tuple[bool, float, int]:
    return trial.loss is None, trial.loss or 0.0, trial.number or 0


def _loss(trial: Trial) -> str:
    return "–" if trial.loss is None else f"{trial.loss:.4f}"


def _cell(value: object) -> object:
    return _rounded(value) if isinstance(value, int | float | str) else shown(value)


def how_to_resume(sweep: Sweep) -> str:
    """Return the command that goes on with a sweep."""
    return f"{this_command()} sweep resume {sweep.name}"
