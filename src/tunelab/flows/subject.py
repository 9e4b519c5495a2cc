"""A finished run, opened: its base model in memory with the adapter on it, and the rendering it was trained with."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import load_adapter
from tunelab.adapters.kinds import kind_of
from tunelab.adapters.peft_folder import read_peft_settings
from tunelab.errors import AdapterError, ModelError, RecipeError, RunError
from tunelab.flows.facts import RunFacts, read_facts
from tunelab.models.load_model import load_model
from tunelab.models.loaded import LoadedModel
from tunelab.models.locate_model import locate_model
from tunelab.recipes import Recipe, ResolvedRecipe, resolve_recipe
from tunelab.rendering.load_renderer import load_renderer
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
        go_on = f"Continue it with: tunelab train {shlex.quote(str(run.recipe_file))} --resume"
        remedy = go_on if run.state == "unfinished" else "Wait until it ends."
        raise RunError(f"this run is {run.state}", where=str(run.path), expected="a finished one", remedy=remedy)
    resolved = read_run_recipe(run)
    recipe = resolved.recipe
    _refuse_another_kind(run, recipe)
    base_model = Path(recipe.model.base_model)
    if base_model.is_absolute() and not base_model.is_dir():
        remedy = "Put the folder back there (a link to it will do), or train again on a base model that you have."
        raise ModelError("the base model of this run is gone", where=str(base_model), remedy=remedy)
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


def _refuse_another_kind(run: Run, recipe: Recipe) -> None:
    trained = kind_of(recipe.adapter).peft_type
    present = read_peft_settings(run.adapter).get("peft_type")
    if present != trained:
        raise AdapterError(
            f"the adapter is of kind {present}, and this run trained one of kind {trained}",
            where=str(run.adapter),
            remedy="Put the run's own adapter back, or train again.",
        )


def _refuse_another_template(run: Run, trained: str, present: str) -> None:
    if trained != present:
        raise RunError(
            f"the chat template is not the one this run was trained with ({trained[:12]} then, {present[:12]} now)",
            where=str(run.path),
            expected="the same rendering in training and in answering",
            remedy="Put the base model's tokenizer and chat template back, or train again with the new ones.",
        )
