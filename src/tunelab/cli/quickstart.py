"""`tunelab quickstart`: check, train and compare on a sample task, with the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.output import named, say, this_command
from tunelab.recipes import resolve_recipe
from tunelab.starter import SAMPLE_TASKS, write_sample_task
from tunelab.workspace import find_workspace

_TASKS = ", ".join(SAMPLE_TASKS)


def command(
    task: Annotated[str, typer.Option(help=f"One of {_TASKS}.")] = "taxonomy",
    folder: Annotated[Path, typer.Option(help="Where the task's data and recipe are written.")] = Path("quickstart"),
) -> None:
    """Tell the whole story on the embedded model: check, train, compare, and what to try next."""
    from tunelab.cli.check import print_check
    from tunelab.cli.compare import compare_and_print
    from tunelab.cli.progress import progress_line
    from tunelab.cli.train import end_of
    from tunelab.flows.check import check_data_or_recipe

    files = write_sample_task(task, folder / task)
    sample = SAMPLE_TASKS[task]
    say(f"{sample.title}. {sample.summary}", style="bold")
    say(f"{files.num_train_rows:,} training and {files.num_test_rows:,} held-out rows in {named(files.folder)}\n")

    say("1  check", style="bold")
    print_check(check_data_or_recipe(str(files.recipe), num_examples=1))

    say("\n2  train", style="bold")
    from tunelab.flows.train import train

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
