"""What a run requires of base model, folder and rows to compare on; train refuses by it, check reports it.

Imports no torch: all of it is known before a weight is read.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tunelab.checks.context import UnmetRequirement
from tunelab.dataset.dataset import Dataset
from tunelab.errors import AdapterError, DataError, ModelError, RecipeError, UserError
from tunelab.flows.compare_rows import read_compare_file
from tunelab.models.architecture import running_kinds_in
from tunelab.models.config import choose_precision, expects_gpu, name_of_dtype
from tunelab.models.estimate import sizes_in
from tunelab.models.model_files import read_description
from tunelab.models.require_files import require_loadable
from tunelab.recipes import Recipe
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Workspace

Require = Callable[[], object]


def unmet_before_reading(recipe: Recipe, folder: Path) -> Iterator[UnmetRequirement]:
    """Yield what keeps the base model in `folder` from being trained by the recipe."""
    yield from _refused("base_model_unusable", lambda: require_loadable(folder))
    yield from _refused("precision_impossible", lambda: require_one_half_precision(recipe, folder))
    yield from _refused("adapter_impossible", lambda: require_keys_for_prefix(recipe, folder))


def unmet_by_rows(recipe: Recipe, folder: Path, data: Dataset, renderer: Renderer) -> Iterator[UnmetRequirement]:
    """Yield what keeps rendered rows from being trained, or from being compared on."""
    yield from _refused("token_beyond_embeddings", lambda: require_known_tokens(data, folder))
    yield from _refused("compare_rows_missing", lambda: require_rows_to_compare(recipe, data, renderer))


def unmet_by_run_folder(recipe: Recipe, workspace: Workspace) -> Iterator[UnmetRequirement]:
    """Yield what keeps a new run from having a folder."""
    folder = Path(recipe.training.output_dir) if recipe.training.output_dir else None
    yield from _refused("run_folder_unusable", lambda: workspace.require_room(output_dir=folder))


def raise_first(refusals: Iterable[UnmetRequirement]) -> None:
    """Raise the error of the first refusal, if there is one."""
    for refusal in refusals:
        raise refusal.error


def require_one_half_precision(recipe: Recipe, folder: Path) -> None:
    """Raise a ModelError if base weights and training would be in different half precisions."""
    config = read_description(folder)
    name_of_dtype(
        recipe.model.torch_dtype,
        stored=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        precision=choose_precision(bf16=recipe.training.bf16, fp16=recipe.training.fp16),
        on_gpu=expects_gpu(recipe.model.device_map),
    )


def require_keys_for_prefix(recipe: Recipe, folder: Path) -> None:
    """Raise an AdapterError for a prefix over layers with a running state, which have no keys to put it before."""
    if recipe.adapter.section == "prefix_tuning" and (kinds := running_kinds_in(folder)):
        what = f"prefix tuning needs layers that can branch, and this base model has {', '.join(kinds)} layers"
        raise AdapterError(what, where="prefix_tuning", remedy="Train a LoRA adapter or a soft prompt.")


def require_layers_to_split(recipe: Recipe) -> None:
    """Raise a RecipeError if several processes could not hold a part of the base's layers each."""
    if recipe.training.fsdp and not recipe.adapter.can_shard_base:
        raise RecipeError(
            f"training.fsdp splits frozen layers of 16 or 32 bits, and {recipe.adapter.section} has none",
            where="training.fsdp",
            remedy="Set training.fsdp: false; each process then holds the whole base.",
        )


def require_known_tokens(data: Dataset, folder: Path) -> None:
    """Raise a ModelError if a token has no vector in the model, as with the tokenizer of another one."""
    if (sizes := sizes_in(folder)) is None:
        return  # loading says how many there are
    for each in (*data.train_sequences, *data.held_out_sequences):
        highest = max((int(ids.max()) for ids in (each.prompt_ids, each.completion_ids) if len(ids)), default=0)
        if highest >= sizes.vocabulary:
            what = f"the tokenizer writes token {highest:,} (for {each.origin}), and the model knows "
            what += f"{sizes.vocabulary:,} tokens"
            raise ModelError(what, where=str(folder), remedy="Put the model's own tokenizer into its folder.")


def require_rows_to_compare(recipe: Recipe, data: Dataset, renderer: Renderer) -> None:
    """Raise a DataError if `evaluation.compare` would find no rows when training ends."""
    if not recipe.evaluation.compares:
        return
    if recipe.evaluation.compare_file is not None:
        read_compare_file(Path(recipe.evaluation.compare_file), recipe.data, renderer, base=Path.cwd())
    elif not data.held_out_sequences:
        raise DataError(
            "no row is held out to compare on",
            where="evaluation.compare",
            remedy="Set data.eval_fraction, data.eval_files or evaluation.compare_file, or evaluation.compare: false.",
        )


def _refused(code: str, require: Require) -> Iterator[UnmetRequirement]:
    try:
        require()
    except UserError as error:
        yield UnmetRequirement(code=code, error=error)
