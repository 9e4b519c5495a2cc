"""What answers: a base model in memory, with an adapter on it or none, and the rendering of prompts for both."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import load_adapter
from tunelab.adapters.kinds import kind_of
from tunelab.adapters.peft_folder import CONFIG_FILE, read_peft_settings, type_in
from tunelab.errors import AdapterError, ModelError, RunError, listed
from tunelab.generation.completion import Sampling
from tunelab.generation.responder import Responder
from tunelab.models.base_hashes import hash_base
from tunelab.models.config import ModelConfig
from tunelab.models.load_model import load_model
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.locate_model import locate_model
from tunelab.recipes import Recipe
from tunelab.registry import Manifest
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What answers, ready for questions."""

    recipe: Recipe
    """As it was trained; for what no recipe is known of, the defaults over its base model."""
    model: LoadedModel
    adapter: Adapter | None
    renderer: Renderer
    manifest: Manifest | None
    """None for a base model, and for an adapter without one next to its folder."""

    def responder(self, sampling: Sampling, *, tuned: bool = True) -> Responder:
        """Return what answers prompts as the tuned model does, or as its base."""
        return Responder(
            network=self.model.network, adapter=self.adapter, renderer=self.renderer, sampling=sampling, tuned=tuned
        )


def open_subject(named: Run | str) -> Subject:
    """Return a run, the adapter in a folder, or a base model by its folder or name, ready to answer.

    Raises:
        RunError, ModelError, AdapterError: as `open_run`, `open_adapter` and `open_base`.
    """
    if isinstance(named, Run):
        return open_run(named)
    folder = Path(named).expanduser()
    return open_adapter(folder) if (folder / CONFIG_FILE).is_file() else open_base(named)


def open_run(run: Run) -> Subject:
    """Return the tuned model of a run.

    Raises:
        RunError: the run is unfinished or damaged, or its chat template is no longer the one it was trained with.
        ModelError: the base model cannot be loaded, or is no longer the one it was trained on.
        AdapterError: the adapter cannot be loaded.
    """
    if not run.is_finished:
        go_on = f"Continue it with: tunelab train {shlex.quote(str(run.recipe_file))} --resume"
        remedy = go_on if run.state == "unfinished" else "Wait until it ends."
        raise RunError(f"this run is {run.state}", where=str(run.path), expected="a finished one", remedy=remedy)
    recipe = run.recipe
    refuse_another_kind(run.adapter, recipe)
    _refuse_gone_base(recipe.model.base_model, of="run")
    return open_parts(recipe, base=run.path, adapter=run.adapter, manifest=run.read_manifest())


def open_adapter(folder: Path) -> Subject:
    """Return the adapter in a PEFT folder over the base model that it names.

    The folder of a run's adapter opens as its run. Next to a manifest alone, base model and rendering must be those of
    the manifest; without one, the base model's own chat template is taken, as for a base model.

    Raises:
        RunError: the manifest next to the folder is damaged, or names another rendering.
        ModelError, AdapterError: base model or adapter cannot be loaded, or the base model has changed.
    """
    run = Run(path=folder.resolve().parent)
    of_run = run.is_finished and run.adapter == folder.resolve()
    if of_run and run.exists:
        return open_run(run)
    settings = read_peft_settings(folder)
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        what, expected = f"{CONFIG_FILE} names no base model", "its folder or name in base_model_name_or_path"
        raise AdapterError(what, where=str(folder), expected=expected)
    _refuse_gone_base(name, of="adapter")
    model = ModelConfig(base_model=name, revision=settings.get("revision"))
    manifest = run.read_manifest() if of_run else None
    return open_parts(Recipe(model=model), base=Path.cwd(), adapter=folder, manifest=manifest)


def open_base(name: str) -> Subject:
    """Return a base model: an embedded one by its name, or one in a folder.

    Raises:
        ModelError: there is none of that name, or it cannot be loaded.
    """
    return open_parts(Recipe(model=ModelConfig(base_model=name)), base=Path.cwd(), adapter=None, manifest=None)


def open_parts(recipe: Recipe, *, base: Path, adapter: Path | None, manifest: Manifest | None) -> Subject:
    """Return base model, adapter and renderer in memory; what differs from the manifest is refused before they are.

    Args:
        recipe: base model and rendering are its.
        base: the folder that its relative names start from.
        adapter: a PEFT folder; None for the base model alone.
        manifest: what is known of the training of the adapter.

    Raises:
        RunError, ModelError, AdapterError: as `open_run`.
    """
    folder = locate_model(recipe.model, base=base)
    renderer = load_renderer(folder, recipe.data, base=base, today=manifest.rendered_on if manifest else None)
    if manifest is not None:
        _refuse_another_template(base, manifest.template_sha256, renderer.template_hash)
        _refuse_another_base(folder, manifest)
    model = load_model(folder, recipe.model, quantization=recipe.adapter.base_quantization)
    return Subject(
        recipe=recipe,
        model=model,
        adapter=load_adapter(model.network, adapter, base_model=recipe.model.base_model) if adapter else None,
        renderer=renderer,
        manifest=manifest,
    )


def refuse_another_kind(adapter: Path, recipe: Recipe) -> None:
    """Raise an AdapterError if the adapter in a folder is of another kind than that of a recipe."""
    of_recipe = kind_of(recipe.adapter).peft_type
    present = type_in(adapter)
    if present != of_recipe:
        raise AdapterError(
            f"the adapter is of kind {present}, and the recipe is of kind {of_recipe}",
            where=str(adapter),
            remedy="Put the run's own adapter back, or train again; or take the recipe of the adapter's method.",
        )


def _refuse_gone_base(name: str, *, of: str) -> None:
    path = Path(name)
    if (path.is_absolute() or name.startswith("..")) and not path.exists():
        remedy = "Put it back there (a link to it will do), or train again on a base model that you have."
        raise ModelError(f"the base model of this {of} is gone", where=name, remedy=remedy)


def _refuse_another_template(path: Path, trained: str, present: str) -> None:
    if trained != present:
        raise RunError(
            f"the chat template is not the one this run was trained with ({trained[:12]} then, {present[:12]} now)",
            where=str(path),
            expected="the same rendering in training and in answering",
            remedy="Put the base model's tokenizer and chat template back, or train again with the new ones.",
        )


def _refuse_another_base(folder: Path, manifest: Manifest) -> None:
    if not manifest.base_files:  # written before they were recorded
        return
    present = hash_base(folder)
    changed = sorted({name for name, _ in manifest.base_files.items() ^ present.items()})
    if changed:
        raise ModelError(
            f"the base model is not the one this adapter was trained on (changed: {listed(changed)})",
            where=str(folder),
            expected="the files whose SHA-256 the run's manifest.json holds under base_files",
            remedy="Put them back, or train again on the base model as it is now.",
        )
