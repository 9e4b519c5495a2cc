"""`tunelab sweep …`: many runs of one recipe with other values of some settings, and which of them is better."""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tunelab.cli.console import SET, harmless, plain_app, print_document, say, this_command
from tunelab.cli.sweep_report import document, how_to_resume, say_plan, say_trial, show
from tunelab.errors import RunError

if TYPE_CHECKING:
    from tunelab.jobs.store import Store
    from tunelab.sweeps.sweep import Sweep


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
    say_plan(sweep)
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
        show(sweep, store)
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
        print_document(json.dumps(document(sweep, store)))
    else:
        show(sweep, store)


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
    doing = "saves and stops" if is_active else "is stopped"
    say(f"The sweep {sweep.name} {doing}. Go on with it: {how_to_resume(sweep)}")


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
            watch=say_trial,
            gpu_bytes_of=expected_gpu_bytes,
        )
        try:
            trials = controller.run()
        except KeyboardInterrupt:
            stop = f"to save and stop it: {this_command()} sweep stop {sweep.name}"
            raise KeyboardInterrupt(f"the run at work goes on ({stop}). Go on with: {how_to_resume(sweep)}") from None
        if sweep.stop_file.exists():
            say(f"The sweep {sweep.name} is stopped. Go on with it: {how_to_resume(sweep)}")
            return
        if sweep.plan.num_reserved:
            say("Measuring on the rows that no trial saw …")
        conclude(sweep, trials, controller.trials, measure=measure_reserved)
    say()
    show(sweep, store)


def _sweep(name: str) -> Sweep:
    from tunelab.sweeps.sweep import find_sweep
    from tunelab.workspace import find_workspace

    return find_sweep(find_workspace(Path.cwd()), name)


def _store(sweep: Sweep) -> Store:
    from tunelab.jobs.job_folder import JobsFolder
    from tunelab.jobs.store import Store

    return Store(JobsFolder(workspace=sweep.workspace))
