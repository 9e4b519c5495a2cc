"""A finished run, opened: its base model in memory with the adapter on it, and the rendering it was trained with."""

from dataclasses import dataclass

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import load_adapter
from tunelab.errors import RecipeError, RunError
from tunelab.flows.facts import RunFacts, read_facts
from tunelab.models.load import load_model
from tunelab.models.loaded import LoadedModel
from tunelab.models.locate import locate_model
from tunelab.recipes import Recipe, ResolvedRecipe, resolve_recipe
from tunelab.rendering.load import load_renderer
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """What answers as the run was trained."""

    run: Run
    facts: RunFacts
    resolved: ResolvedRecipe
    model: LoadedModel
    adapter: Adapter
    renderer: Renderer

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was trained."""
        return self.resolved.recipe


def open_run(run: Run) -> OpenedRun:
    """Return the run ready to answer.

    Raises:
        RunError: the run is unfinished or damaged, or its chat template is no longer the one it was trained with.
        ModelError, AdapterError: base model or adapter cannot be loaded.
    """
    if not run.is_finished:
        remedy = "Continue it with tunelab train --resume."
        raise RunError("this run is not finished", where=str(run.path), remedy=remedy)
    resolved = read_run_recipe(run)
    recipe = resolved.recipe
    folder = locate_model(recipe.model, base=run.path)
    facts = read_facts(run)
    renderer = load_renderer(folder, recipe.data, base=run.path, today=facts.rendered_on)
    _refuse_another_template(run, facts.template_sha256, renderer.template_hash)
    model = load_model(folder, recipe.model)
    adapter = load_adapter(model.network, run.adapter, base_model=recipe.model.base_model)
    return OpenedRun(run=run, facts=facts, resolved=resolved, model=model, adapter=adapter, renderer=renderer)


def read_run_recipe(run: Run) -> ResolvedRecipe:
    """Return the recipe of a run exactly as it stands in its folder: no environment and no `.env` changes it.

    Raises:
        RunError: the file is missing or was changed into something else.
    """
    try:
        return resolve_recipe(run.recipe_file, environment=None)
    except RecipeError as error:
        raise RunError(f"the run's recipe cannot be read ({error.what})", where=error.where) from error


def _refuse_another_template(run: Run, trained: str, present: str) -> None:
    if trained != present:
        raise RunError(
            f"the chat template is not the one this run was trained with ({trained[:12]} then, {present[:12]} now)",
            where=str(run.path),
            expected="the same rendering in training and in answering",
            remedy="Put the base model's tokenizer and chat template back, or train again with the new ones.",
        )
