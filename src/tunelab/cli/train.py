"""`tunelab train RECIPE`: an adapter from a recipe; `--resume` continues an interrupted run."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import SET, named, say, this_command
from tunelab.cli.training_progress import progress_line
from tunelab.errors import UserError
from tunelab.events import AnyEvent, EventIndex, RunFinished
from tunelab.recipes import resolve_recipe
from tunelab.training.join_world import join_world
from tunelab.workspace import find_workspace

_RUN_GOES_ON = "--run goes on by itself with what there is of the run."

if TYPE_CHECKING:
    from tunelab.flows.train import Trained
    from tunelab.recipes import ResolvedRecipe
    from tunelab.workspace import Run


def command(
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", hidden=True)] = None,
    overrides: Annotated[list[str] | None, SET] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the latest run of exactly this recipe.")] = False,
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="ID",
            help="Begin the run ID, go on with it, or find it finished: give the same line again after any end.",
        ),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave unreadable rows out, counted and listed; default: refuse.")
    ] = False,
) -> None:
    """Train an adapter. Ctrl+C saves a checkpoint and says how to go on; a killed run resumes to the same bytes.

    RECIPE is a YAML file; without one, variables such as LLM_DATA__TRAIN_FILES make the recipe.
    """
    settings = [*(overrides or ()), *(["data.bad_rows=skip"] if skip_bad_rows else [])]
    with join_world() as world:
        workspace = find_workspace(Path.cwd())
        run_folder = workspace.runs_folder / run_id if run_id is not None else None
        resolved = resolve_recipe(recipe, overrides=settings, run_folder=run_folder)
        if run_id is not None:
            _refuse_name_of_model(run_id)
        if run_id is not None and resume:
            raise UserError("--run and --resume are both given", expected="one of them", remedy=_RUN_GOES_ON)
        if run_id is not None:
            run = workspace.named_run(run_id, resolved.anchored)
            if world.gather(run.is_finished)[0][0]:  # as the first process sees it: a disk may show others the past
                if world.is_first:
                    say(f"Run {run.id} is finished; nothing was done. Its adapter: {named(run.adapter)}")
                    _compare(resolved, run)
                return
        from tunelab.flows.train import train  # brings torch: not before the recipe is known to be good

        with progress_line() if world.is_first else nullcontext(_silent) as listener:
            trained = train(resolved, workspace, resume=resume, run_id=run_id, listeners=[listener], world=world)
    if not world.is_first:
        raise typer.Exit(_exit_code(trained))
    end_of(trained, again=None if run_id is None else _same_line(recipe, run_id, settings))
    if not (trained.was_finished or resolved.recipe.evaluation.compares):
        say(f"Next     {this_command()} compare {shlex.quote(named(trained.run.path))}")
    _compare(resolved, trained.run)


def _refuse_name_of_model(run_id: str) -> None:
    from tunelab.models.locate_model import MODEL_NAMES

    if run_id in MODEL_NAMES:  # tunelab chat would not know which of the two is meant
        raise UserError(f'"{run_id}" is the name of a base model', where="--run", expected="another id")


def _same_line(recipe: Path | None, run_id: str, settings: Sequence[str]) -> str:
    if os.environ.get("TUNELAB_JOB") == run_id:
        return shlex.join(["jobs", "retry", run_id])
    words = ["train", *([str(recipe)] if recipe else []), "--run", run_id]
    return shlex.join([*words, *(word for each in settings for word in ("--set", each))])


def end_of(trained: Trained, *, again: str | None = None) -> None:
    """Print how a run ended: curve, paths and what to do next; an interrupted one exits with its signal's code.

    Args:
        again: the arguments that go on with an interrupted run; None names its own recipe.
    """
    run = trained.run
    if trained.interrupted_by is not None:
        again = again or f"train {shlex.quote(named(run.recipe_file))} --resume"
        say(f"Saved at step {trained.step:,}. Go on with:  {this_command()} {again}")
        raise typer.Exit(_exit_code(trained))
    if trained.was_finished:
        say(f"This run is finished; nothing was done. Its adapter: {named(run.adapter)}")
        say("To train longer, start a new run: raise training.num_train_epochs and leave --resume out.")
        return
    index = EventIndex(run.events_file)
    if trained.step:
        from tunelab.events.loss_plot import terminal_plot

        say(terminal_plot(index))
    (finished,) = [event for event in index.events() if isinstance(event, RunFinished)][-1:]
    say()
    say(f"Adapter  {named(run.adapter)}  ({_size(finished.adapter_bytes)}, {_kept(finished)})")
    if trained.step:
        say(f"Plot     {named(run.plot_file)}")


def _compare(resolved: ResolvedRecipe, run: Run) -> None:
    """Compare a finished run with its base if the recipe asks for it, unless that was done before it was killed."""
    if resolved.recipe.evaluation.compares and not run.html_report_file.is_file():
        from tunelab.cli.compare import compare_and_print

        compare_and_print(run, show=3)


def _exit_code(trained: Trained) -> int:
    number = signal.Signals.__members__.get(trained.interrupted_by or "")
    return 128 + number if number else 0


def _silent(_: AnyEvent) -> None:
    """Show nothing: the first of several processes speaks for them all."""


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.1f} kB"


def _kept(finished: RunFinished) -> str:
    if finished.reason == "adapter_taken":
        return "taken from evaluation.adapter_path; nothing was trained"
    if finished.best_eval_loss is None:
        return f"the weights of step {finished.adapter_step}"
    best = f"held-out loss {finished.best_eval_loss:.4f}"
    if finished.adapter_step == finished.step:
        return f"the weights of the last step, {finished.step}; best {best}"
    return f"the weights of step {finished.adapter_step} of {finished.step}, {best}"
