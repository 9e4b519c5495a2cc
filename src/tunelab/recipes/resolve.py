"""Where a recipe's values come from: command line, environment, file, defaults, in this order."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunelab.cleaning.config import BASE_MODEL
from tunelab.dataset.config import DataConfig
from tunelab.errors import RecipeError, guess
from tunelab.recipes.dialects import dialect_of
from tunelab.recipes.forms.enforce import enforce
from tunelab.recipes.keys import expected, kinds, shown
from tunelab.recipes.overrides import from_command_line, from_dotenv, from_environment, read_setting
from tunelab.recipes.recipe import ADAPTERS, FIELDS, Recipe, changed, settings_of, tree_of
from tunelab.recipes.yaml_document import Faults, Layer, Note, Setting, read_document

_FILE_SETTINGS = (
    "data.tool_catalog",
    "data.chat_template",
    "evaluation.compare_file",
    "evaluation.suite",
    "evaluation.adapter_path",
)
_DATA_NAMES = ("data.data_dir", "data.train_files", "data.eval_files", "data.cleaning.tokenizer")
_NAMES = (*_FILE_SETTINGS, *_DATA_NAMES, "training.output_dir", "model.base_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRecipe:
    """A recipe, and what is known about how it came to be."""

    recipe: Recipe
    file: Path | None
    """The file it was read from; None if the environment alone was the recipe."""
    base: Path
    """Folder that relative names start from: the file's, or the current one."""
    sources: Mapping[str, str]
    """Dotted key -> where the value came from, for every setting."""
    dialect: str
    """``canonical``, ``LLaMA-Factory`` or another tool, ``ModelLab LoRA``, ``nested``, or ``environment``."""
    notes: tuple[str, ...] = ()
    """What a reader should know: defaults taken, oddities of the file."""

    @property
    def anchored(self) -> Recipe:
        """The recipe with its relative names made absolute, so that it means the same from any folder.

        Raises:
            RecipeError: it names no data.
        """
        settings = settings_of(self.recipe)
        if (
            not settings["data.train_files"]
            and settings["data.data_dir"] == DataConfig.model_fields["data_dir"].default
        ):
            what = "no recipe is given" if self.file is None else "no training file is named"
            remedy = "A line such as data: {train_files: train.jsonl} makes a file a recipe. "
            remedy += "Then: tunelab train recipe.yaml. The data alone: tunelab check train.jsonl."
            raise RecipeError(what, where=str(self.file or ""), remedy=remedy)
        data_dir = self.base / os.path.expanduser(settings["data.data_dir"])
        absolute: dict[str, Any] = {"data.data_dir": str(data_dir.resolve())}
        for dotted in _FILE_SETTINGS:
            if name := settings[dotted]:
                near_data, near_recipe = data_dir / name, self.base / os.path.expanduser(name)
                only_there = os.path.exists(near_data) and not os.path.exists(near_recipe)
                chosen = near_data if only_there else near_recipe
                absolute[dotted] = str(chosen.resolve())
        if (tokenizer := settings["data.cleaning.tokenizer"]) not in ("nano", BASE_MODEL):
            absolute["data.cleaning.tokenizer"] = str((self.base / os.path.expanduser(tokenizer)).resolve())
        if output_dir := settings["training.output_dir"]:
            absolute["training.output_dir"] = str((self.base / os.path.expanduser(output_dir)).resolve())
        model = self.base / os.path.expanduser(settings["model.base_model"])
        if os.path.exists(model):  # a folder or a GGUF
            absolute["model.base_model"] = str(model.resolve())
        return changed(self.recipe, absolute)


def resolve_recipe(
    path: Path | None,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = os.environ,
    run_folder: Path | None = None,
) -> ResolvedRecipe:
    """Return the recipe that a file, the environment and the command line make together.

    Args:
        path: the recipe in any of its dialects; None takes environment and defaults alone.
        overrides: `section.key=value` texts; they win over everything.
        environment: variables; `LLM_<SECTION>__<KEY>` win over a `.env` file, and that over the recipe file.
            None reads neither.
        run_folder: the folder of the run that it is resolved for, if that is known: ModelLab's `mount/<run_id>`.

    Raises:
        RecipeError: unknown keys, impossible values, a file that is no recipe; it names each place.
    """
    base = path.parent if path else Path()
    faults = Faults()
    document = read_document(path, run_folder=run_folder) if path else None
    dialect, in_file, notes = (
        dialect_of(document.names).read(document, faults) if document else ("environment", Layer(), [])
    )
    layer = dict(in_file)
    if environment is not None:
        for folder in dict.fromkeys((Path.cwd(), base.absolute())):
            with faults.noted():
                layer |= from_dotenv(folder / ".env")
        layer |= from_environment(environment, faults)
    layer |= from_command_line(overrides, faults)
    if document:
        notes = [*notes, *enforce(document, dialect, in_file, layer, faults)]
    with faults.noted():
        _refuse_clashes(layer)
    recipe = _validated(layer, faults)
    followed = {key: each for key, each in _followed(recipe).items() if key not in layer}
    settings = settings_of(recipe) | {key: value for key, (_, value) in followed.items()}
    recipe = Recipe.model_validate(tree_of(settings))
    defaults = dict.fromkeys(settings, "default") | {key: f"{other} by default" for key, (other, _) in followed.items()}
    return ResolvedRecipe(
        recipe=recipe,
        file=path,
        base=base.absolute(),
        sources={key: layer[key].source if key in layer else source for key, source in defaults.items()},
        dialect=dialect,
        notes=(*(note.text for note in notes if _applies(note, in_file, layer)), *_remarks(recipe, layer, followed)),
    )


def with_setting(resolved: ResolvedRecipe, dotted: str, text: str, *, where: str) -> Recipe:
    """Return a resolved recipe with another value of one setting, written as after `--set`.

    Raises:
        RecipeError: the setting or the value is none; it names `where`.
    """
    values = settings_of(resolved.recipe).items()
    layer = {key: Setting(value=value, source=resolved.sources[key]) for key, value in values}
    layer[dotted] = read_setting(dotted, text, where)
    _refuse_clashes(layer)
    return _validated(layer, Faults())


def _applies(note: Note, in_file: Layer, layer: Layer) -> bool:
    return layer.get(note.about) is in_file.get(note.about)


def _validated(layer: Layer, faults: Faults) -> Recipe:
    values: dict[str, Any] = {}
    for dotted, setting in layer.items():
        value = setting.value
        if dotted in FIELDS:
            allowed = kinds(dotted)
            if dotted in _NAMES and "\0" in "".join(_texts(value)):
                what = f"{dotted} holds a NUL character"
                faults.append(RecipeError(what, where=setting.source, expected="a name that a file can have"))
                continue
            if (isinstance(value, bool) and bool not in allowed) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                faults.append(_impossible(dotted, value, setting.source))
                continue
            if isinstance(value, str) and tuple in allowed and str not in allowed:
                value = [value]  # one file name instead of a list
        values[dotted] = value
    try:
        recipe = Recipe.model_validate(tree_of(values))
    except ValidationError as error:
        places = ((".".join(map(str, each["loc"][:depth])), each) for each in error.errors() for depth in (2, 3))
        wrong = {place: each for place, each in places if place in FIELDS}
        faults += [
            RecipeError(f"{key} {each['ctx']['error']}", where=layer[key].source)  # a room's own words on its setting
            if each["type"] == "value_error"
            else _impossible(key, values[key], layer[key].source)
            for key, each in wrong.items()
            if key in values
        ]
        faults.report()
        raise
    faults.report()
    return recipe


def _texts(value: object) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _impossible(dotted: str, value: object, where: str) -> RecipeError:
    right = expected(dotted)
    remedy = guess(value, right.replace(" or ", ", ").split(", ")) if isinstance(value, str) else ""
    return RecipeError(f"{dotted} is {shown(value)}", where=where, expected=right, remedy=remedy)


def _refuse_clashes(layer: Layer) -> None:
    """Raise a RecipeError for settings that cannot hold together, with the place of each."""
    first_place: dict[str, str] = {}
    for key, setting in layer.items():
        first_place.setdefault(key.partition(".")[0], setting.source)
    methods = [f"{name} (at {first_place[name]})" for name in ADAPTERS if name in first_place]
    if len(methods) > 1:
        what = f"{', '.join(methods[:-1])} and {methods[-1]} are {'both' if len(methods) == 2 else 'all'} set"
        raise RecipeError(what, expected="one method", remedy="Delete the settings of the others.")
    halves = [layer.get(f"training.{name}") for name in ("bf16", "fp16")]
    if all(half is not None and half.value is True for half in halves):
        places = " and ".join(half.source for half in halves if half is not None)
        raise RecipeError("training.bf16 and training.fp16 are both true", where=places, expected="one of them at most")


def _followed(recipe: Recipe) -> dict[str, tuple[str, object]]:
    """Return the settings of cleaning that follow those of another section unless they are set: whom, and the value.

    Only those that have an effect: `eval_max_length` follows `max_length` in their own room.
    """
    followed: dict[str, tuple[str, object]] = {}
    if recipe.data.cleaning.counts_tokens:
        followed["data.cleaning.tokenizer"] = ("model.base_model", BASE_MODEL)
    if recipe.data.cleaning.draws:
        followed["data.cleaning.seed"] = ("training.seed", recipe.training.seed)
    return followed


def _remarks(recipe: Recipe, layer: Layer, followed: Collection[str]) -> list[str]:
    remarks = []
    if "data.cleaning.tokenizer" in followed:
        remarks.append(f"data.cleaning counts tokens by the tokenizer of the base model, {recipe.model.base_model}.")
    if "data.cleaning.seed" in followed:
        remarks.append(f"data.cleaning samples rows by training.seed, {recipe.training.seed}.")
    if not any(key.partition(".")[0] in ADAPTERS for key in layer):
        remarks.append("No method is named: a LoRA adapter with its defaults is trained.")
    remarks += recipe.adapter.remarks({key.partition(".")[2] for key in layer if key.partition(".")[0] in ADAPTERS})
    training = recipe.training
    if training.num_warmup_steps and not training.lr_scheduler_type.endswith("_with_warmup"):
        steps, name = training.num_warmup_steps, training.lr_scheduler_type
        remarks.append(f"training.num_warmup_steps {steps} has no effect: the scheduler {name} has no warm-up.")
    remarks += recipe.training.remarks(
        {name for section, _, name in (key.partition(".") for key in layer) if section == "training"}
    )
    remarks += recipe.evaluation.remarks()
    return remarks
