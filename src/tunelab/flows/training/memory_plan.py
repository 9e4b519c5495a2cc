"""What a run would train and hold in memory, known before a weight is read and without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.batching.schedule import Schedule
from tunelab.batching.step_plan import light_tokens
from tunelab.checks.context import PlannedModel
from tunelab.errors import AdapterError
from tunelab.flows.training.plan import sharing_of
from tunelab.models.config import expects_gpu
from tunelab.models.estimate import MemoryEstimate, Sizes, affordable_tokens, estimate_step, host_memory, sizes_in
from tunelab.models.layer_roles import Target
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.models.weight_headers import StoredWeights, read_headers
from tunelab.models.zero_outputs import count_zero_outputs, zero_outputs_in_words
from tunelab.recipes import Recipe
from tunelab.rendering.rendered import Rendered

_STORED = {"F64": "float32", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    name: str
    dtype: str
    memory_bytes: int | None


def planned_model(
    recipe: Recipe, folder: Path, *, sequences: Sequence[Rendered], schedule: Schedule
) -> PlannedModel | None:
    """Return what the recipe trains of the base model in `folder`, and the memory of its largest micro-batch.

    None if only loading the model can say: its files are no safetensors, or its layers are not laid out as in them.
    """
    weights, sizes = read_headers(folder), sizes_in(folder)
    if weights is None or sizes is None:
        return None
    try:
        targets, unmatched, remedy = tuple(recipe.adapter.targets_in(weights.modules(num_layers=sizes.layers))), "", ""
    except AdapterError as error:
        targets, unmatched, remedy = (), _in_words(error), error.remedy or "Change this setting."
    divides_by_zero, divides_remedy = _zero_outputs(recipe, folder, weights, targets)
    device = _device(recipe, weights)
    num_trainable = recipe.adapter.num_trained(targets=targets, sizes=sizes, num_weights=weights.num_weights)
    return PlannedModel(
        targets=targets,
        unmatched=unmatched,
        remedy=remedy,
        divides_by_zero=divides_by_zero,
        divides_remedy=divides_remedy,
        num_weights=weights.num_weights,
        num_expert_weights=weights.num_expert_weights,
        num_trainable=num_trainable,
        trains_base=recipe.adapter.trains_base,
        dtype=recipe.adapter.base_quantization or device.dtype,
        device=device.name,
        device_bytes=device.memory_bytes,
        memory=_memory(recipe, folder, weights, sizes, device, num_trainable, sequences, schedule),
    )


def _in_words(error: AdapterError) -> str:
    return f"{error.where}: {error.what}{f'; expected {error.expected}' if error.expected else ''}"


def _zero_outputs(recipe: Recipe, folder: Path, weights: StoredWeights, targets: Sequence[Target]) -> tuple[str, str]:
    if not recipe.adapter.divides_by_outputs:
        return "", ""
    modules = (module for target in targets if not target.num_whole for module in target.modules)
    counts = count_zero_outputs(folder, weights, modules)
    return zero_outputs_in_words(counts, section=recipe.adapter.section)


def _device(recipe: Recipe, weights: StoredWeights) -> _Device:
    """Return the device that the model would run on; without torch a GPU is known by its device file alone."""
    requested = recipe.model.device_map
    on_gpu = expects_gpu(requested)
    dtype: str = recipe.model.torch_dtype
    if dtype == "auto":
        dtype = _STORED[weights.dtype] if on_gpu or recipe.training.fp16 else "float32"
        dtype = "bfloat16" if not on_gpu and recipe.training.bf16 else dtype
    return _Device(name="a GPU" if on_gpu else "a CPU", dtype=dtype, memory_bytes=None if on_gpu else host_memory())


def _memory(
    recipe: Recipe,
    folder: Path,
    weights: StoredWeights,
    sizes: Sizes,
    device: _Device,
    num_trainable: int,
    sequences: Sequence[Rendered],
    schedule: Schedule,
) -> MemoryEstimate:
    on_gpu = device.name == "a GPU"

    def estimate(tokens: int, trained_tokens: int) -> MemoryEstimate:
        return estimate_step(
            sizes,
            base_bytes=weights.loaded_bytes(
                bytes_per_weight=_BYTES[device.dtype], quantization=recipe.adapter.base_quantization
            ),
            num_trainable=num_trainable,
            bytes_per_weight=4 if recipe.adapter.trains_base else _BYTES[device.dtype],
            tokens=tokens,
            trained_tokens=trained_tokens,
            logits_at_a_time=chunk_tokens(sizes.vocabulary, on_gpu=on_gpu),
            gradient_checkpointing=recipe.training.gradient_checkpointing,
        )

    batching = recipe.batching
    if device.memory_bytes is not None:
        affordable = affordable_tokens(lambda tokens: estimate(tokens, tokens), device.memory_bytes)
        fewer = min(affordable, batching.micro_batch_tokens)
        batching = batching.model_copy(update={"micro_batch_tokens": fewer})
    sharing = sharing_of(batching, sequences, schedule, light=light_tokens(weights.num_weights, on_gpu=on_gpu))
    return estimate(sharing.largest_batch, sharing.most_trained)
