"""`tunelab sweep …`: many runs of one recipe with other values of some settings, and which of them is better."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tunelab.cli.console import SET, harmless, named, plain_app, print_document, print_table, say, this_command
from tunelab.errors import RunError, listed
from tunelab.recipes.keys import shown

if TYPE_CHECKING:
    from tunelab.jobs.store import Store
    from tunelab.sweeps.result import Result
    from tunelab.sweeps.sweep import Sweep
    from tunelab.sweeps.trials import Trial

_SHOWN = 20


class _RecipeFirst(TyperGroup):
    """Takes `tunelab sweep RECIPE …` for `tunelab sweep start RECIPE …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if not args or args[0] in names else ["start", *args])


command = plain_app(cls=_RecipeFirst, no_args_is_help=True)


@command.callback()
def _verbs() -> None:
    """Try other values of a recipe's settings, and say whether the best beat the noise.

    tunelab sweep RECIPE is short for tunelab sweep start RECIPE.
    """


_NAME = typer.Argument(metavar="NAME", hidden=True)


@command.command("start")
def start_command(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", hidden=True)],
    overrides: Annotated[list[str] | None, SET] = None,
    *,
    num_trials: Annotated[int, typer.Option("--trials", metavar="N", help="At most so many trials.")] = 50,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="SETTING=VALUES",
            help="What is searched: training.learning_rate=1e-4..1e-2:log, lora.r=4,8,16. Repeatable.",
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", metavar="SPACE", help="Ranges by name: phi-silica. --over replaces some.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", help="Runs at once.")] = 1,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="No trial begins after this time, such as 90m or 3h.")
    ] = None,
    num_seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Runs of the recipe itself, which show the noise.")
    ] = 3,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Default: the recipe's.")] = None,
) -> None:
    """Begin a sweep, and go on until it has ended.

    RECIPE is a YAML file. First it is run as it is, with several seeds; then trial after trial with other values of
    what --over and --space name. Each run is a job. What was interrupted goes on with: tunelab sweep resume NAME.
    """
    from tunelab.jobs.submit import seconds_of
    from tunelab.recipes import resolve_recipe
    from tunelab.sweeps.prepare import Requested, prepare
    from tunelab.sweeps.sweep import new_sweep
    from tunelab.workspace import find_workspace, name_of_run

    resolved = resolve_recipe(recipe, overrides=overrides or ())
    sweep = new_sweep(find_workspace(Path.cwd()), name or name_of_run(resolved.file)[:40])
    requested = Requested(
        num_trials=num_trials,
        over=tuple(over or ()),
        space=space,
        parallel=parallel,
        budget_s=None if budget is None else seconds_of(budget, where="--budget"),
        num_seeds=num_seeds,
    )
    sweep.refuse_taken()
    plan = prepare(resolved, requested)
    store = _store(sweep)
    sweep.begin(plan, resolved.anchored)
    for note in resolved.notes:
        say(f"Note: {harmless(note)}")
    _say_plan(sweep)
    _run(sweep, store)


@command.command("resume")
def resume_command(name: Annotated[str, _NAME]) -> None:
    """Go on with a sweep that was interrupted or stopped.

    NAME is that of the sweep. No trial is run twice, and none is lost: one that is still at work is waited for.
    """
    sweep = _sweep(name)
    store = _store(sweep)
    if sweep.result_file.exists():
        say(f"The sweep {sweep.name} has ended; nothing was done.")
        _show(sweep, store)
        return
    _run(sweep, store)


@command.command("show")
def show_command(
    name: Annotated[str, _NAME],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Show the trials of a sweep, the best first, and what came of it.

    NAME is that of the sweep.
    """
    sweep = _sweep(name)
    store = _store(sweep)
    if as_json:
        print_document(json.dumps(_document(sweep, store)))
    else:
        _show(sweep, store)


@command.command("stop")
def stop_command(name: Annotated[str, _NAME]) -> None:
    """Ask a sweep and its runs to save and stop.

    NAME is that of the sweep. It goes on where it was saved with: tunelab sweep resume NAME.
    """
    from tunelab.files import write_file
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.runner import ensure_runner
    from tunelab.sweeps.controller import stop_runs
    from tunelab.sweeps.trials import Trials

    sweep = _sweep(name)
    store = _store(sweep)
    if sweep.result_file.exists():
        say(f"The sweep {sweep.name} has ended already.")
        return
    write_file(sweep.stop_file, "")
    is_active = stop_runs(Trials(sweep, store).look(), store, LocalJobs(store.folder))
    if store.needs_runner():
        ensure_runner(store)
    say(f"The sweep {sweep.name} {'saves and stops' if is_active else 'is stopped'}. Go on with it: {_resume(sweep)}")


@command.command("best")
def best_command(
    name: Annotated[str, _NAME],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="RECIPE", help="The recipe to write; never over a file.")
    ] = None,
) -> None:
    """Write the recipe with the values of the best trial; comments say where each came from.

    NAME is that of the sweep. Without -o the recipe is printed.
    """
    from tunelab.recipes import write_new
    from tunelab.sweeps.best_recipe import best_recipe
    from tunelab.sweeps.result import read_result
    from tunelab.sweeps.trials import Trials

    sweep = _sweep(name)
    trials = Trials(sweep, _store(sweep)).look()
    text = best_recipe(sweep, trials, read_result(sweep), folder=out.parent if out else Path.cwd())
    if out is None:
        print_document(text)
        return
    write_new(out, text)
    say(f"{out}: written. Next: {this_command()} train {shlex.quote(str(out))}")


def _run(sweep: Sweep, store: Store) -> None:
    """Be the controller of a sweep until it ends or is stopped."""
    from tunelab.flows.training.gpu_memory import expected_gpu_bytes
    from tunelab.jobs.job_folder import held
    from tunelab.jobs.local import LocalJobs
    from tunelab.jobs.runner import ensure_runner
    from tunelab.jobs.slots import read_slots, write_slots
    from tunelab.sweeps.controller import Controller
    from tunelab.sweeps.result import conclude, measure_reserved

    with ExitStack() as stack:
        if stack.enter_context(held(sweep.lock_file)) is None:
            raise RunError("another process runs this sweep", where=sweep.name, remedy="Wait until it ends, or end it.")
        if read_slots(store.folder) < sweep.plan.parallel:
            write_slots(store.folder, sweep.plan.parallel)
            say(f"This workspace now runs {sweep.plan.parallel} jobs at once (tunelab jobs slots).")

        def advance() -> None:
            if store.needs_runner():
                ensure_runner(store)

        controller = Controller(
            sweep,
            store,
            LocalJobs(store.folder),
            advance=advance,
            watch=_say_trial,
            gpu_bytes_of=expected_gpu_bytes,
        )
        try:
            trials = controller.run()
        except KeyboardInterrupt:
            stop = f"to save and stop it: {this_command()} sweep stop {sweep.name}"
            raise KeyboardInterrupt(f"the run at work goes on ({stop}). Go on with: {_resume(sweep)}") from None
        if sweep.stop_file.exists():
            say(f"The sweep {sweep.name} is stopped. Go on with it: {_resume(sweep)}")
            return
        if sweep.plan.num_reserved:
            say("Measuring on the rows that no trial saw …")
        conclude(sweep, trials, controller.trials, measure=measure_reserved)
    say()
    _show(sweep, store)


def _say_plan(sweep: Sweep) -> None:
    plan = sweep.plan
    say(f"Sweep    {sweep.name} in {named(sweep.path)}: up to {plan.num_trials:,} trials of {plan.total_steps:,} steps")
    for each in plan.space:
        say(f"  {each.key}  {each.describe()}")
    for note in plan.notes:
        say(f"Note: {harmless(note)}.")
    say()


def _say_trial(trial: Trial) -> None:
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


def _show(sweep: Sweep, store: Store) -> None:
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
        say(f"Trials   {len(numbered):,} of up to {sweep.plan.num_trials:,}. Go on with it: {_resume(sweep)}")
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


def _document(sweep: Sweep, store: Store) -> dict[str, Any]:
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


def _resume(sweep: Sweep) -> str:
    return f"{this_command()} sweep resume {sweep.name}"


def _sweep(name: str) -> Sweep:
    from tunelab.sweeps.sweep import find_sweep
    from tunelab.workspace import find_workspace

    return find_sweep(find_workspace(Path.cwd()), name)


def _store(sweep: Sweep) -> Store:
    from tunelab.jobs.job_folder import JobsFolder
    from tunelab.jobs.store import Store

    return Store(JobsFolder(workspace=sweep.workspace))
