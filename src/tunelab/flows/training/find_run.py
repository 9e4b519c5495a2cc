"""Which run a command means: a new one, the one of an id, or one to go on with."""

from pathlib import Path

from tunelab.errors import RunError
from tunelab.recipes import Recipe, ResolvedRecipe
from tunelab.workspace import Run, Workspace, name_of_run


def find_run(
    resolved: ResolvedRecipe, recipe: Recipe, workspace: Workspace, *, resume: bool, run_id: str | None
) -> Run:
    """Return the run that is to be trained: that of `run_id`, with `resume` an earlier one, else a new one.

    Args:
        resolved: as the user gave it.
        recipe: the same, anchored.

    Raises:
        RunError: there is no such run, it has other settings, or the folder for a new one is in use.
    """
    output_dir = Path(recipe.training.output_dir) if recipe.training.output_dir else None
    if run_id is not None:
        return _named(workspace, run_id, recipe)
    if resume:
        return _earlier(workspace, resolved.file, recipe, output_dir)
    return workspace.new_run(name_of_run(resolved.file), output_dir=output_dir)


def _named(workspace: Workspace, run_id: str, recipe: Recipe) -> Run:
    if recipe.training.output_dir:
        what = f"training.output_dir is {recipe.training.output_dir}, and --run makes runs/{run_id}"
        raise RunError(what, where="--run", remedy="Leave one of the two out.")
    return workspace.named_run(run_id, recipe)


def _earlier(workspace: Workspace, file: Path | None, recipe: Recipe, output_dir: Path | None) -> Run:
    """Return the run whose own recipe `file` is, else the latest run of this recipe."""
    own = Run(path=file.parent) if file is not None else None
    if own is not None and own.recipe_file == file and own.events_file.exists():
        own.refuse_other_settings(recipe)
        return own
    run = workspace.latest_of(recipe, output_dir=output_dir)
    if run is None:
        remedy = (
            "Give the same --set values as when it was started; or leave out --resume to start one. To continue a run "
            "whose recipe file has changed since, "
            "name the recipe.yaml in its folder."
        )
        raise RunError("there is no run of exactly this recipe to resume", where=str(workspace.path), remedy=remedy)
    return run
