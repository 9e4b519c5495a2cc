"""`tunelab quickstart`: check, train and compare on a sample task, with the embedded model or a real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.console import named, say, this_command
from tunelab.models.gguf.packaged import PACKAGED_MODELS, packaged_gguf
from tunelab.recipes import resolve_recipe
from tunelab.starter import EMBEDDED, SAMPLE_TASKS, write_sample_task
from tunelab.workspace import find_workspace

_TASKS = ", ".join(SAMPLE_TASKS)


def command(
    task: Annotated[str, typer.Option(metavar="NAME", help=f"One of {_TASKS}.")] = "taxonomy",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="nano, the embedded model, or smollm2, a real one: up to ten minutes.")
    ] = EMBEDDED,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where data and recipe go.")] = Path("quickstart"),
) -> None:
    """Go through the whole story on a small task: check, train, compare, and what to try next."""
    if model in PACKAGED_MODELS:
        packaged_gguf(model)  # without its package nothing is written
    files = write_sample_task(task, folder / (task if model == EMBEDDED else f"{task}-{model}"), model=model)
    sample = SAMPLE_TASKS[task]
    say(f"{sample.title}. {sample.summary}", style="bold")
    say(f"{files.num_train_rows:,} training and {files.num_test_rows:,} held-out rows in {named(files.folder)}\n")

    say("1  check", style="bold")
    sys.stdout.flush()
    words = [sys.executable, "-P", "-m", "tunelab", "check", str(files.recipe), "--show", "1"]
    with subprocess.Popen(words) as check:
        # What trains takes seconds to import: the check has a process, and with it a core, of its own meanwhile.
        from tunelab.cli.compare import compare_and_print
        from tunelab.cli.train import end_of
        from tunelab.cli.training_progress import progress_line
        from tunelab.flows.train import train
    if check.returncode:
        raise typer.Exit(check.returncode)

    say("\n2  train", style="bold")
    with progress_line() as listener:
        trained = train(resolve_recipe(files.recipe), find_workspace(Path.cwd()), listeners=[listener])
    end_of(trained)

    say("\n3  compare", style="bold")
    compare_and_print(trained.run, show=2)

    recipe, tunelab = named(files.recipe), this_command()
    say("\nNext:", style="bold")
    say(f"  {tunelab} chat {trained.run.id}")
    say(f"  {tunelab} check {recipe} --show 3 --stats")
    say(f"  {tunelab} train {recipe} --set lora.r=4 --set training.learning_rate=1e-3")
