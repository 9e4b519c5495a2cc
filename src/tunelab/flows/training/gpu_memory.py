"""How much memory of a GPU a job is expected to hold, known when it is submitted and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunelab.errors import AdapterError
from tunelab.files import expanded
from tunelab.models.estimate import MemoryEstimate, affordable_tokens, estimate_step, sizes_in
from tunelab.models.locate_model import MODEL_NAMES, locate_model
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.models.weight_headers import read_headers

if TYPE_CHECKING:
    from tunelab.recipes import ResolvedRecipe

_LIBRARIES_BYTES = 1 << 30
"""What CUDA and its libraries hold in each process."""
_STORED_BYTES = {"F64": 4, "F32": 4, "F16": 2, "BF16": 2}


def expected_gpu_bytes(resolved: ResolvedRecipe, memory_bytes: int) -> int:
    """Return an upper bound of the memory that training holds; 0 if only loading the model can say.

    A micro-batch is taken to be as large as the recipe allows and half of the GPU's memory holds, and all of it to be
    trained tokens: what the data really lead to is known after rendering, which a submission does not wait for.

    Args:
        resolved: the recipe.
        memory_bytes: of the GPU.
    """
    recipe = resolved.recipe
    if recipe.model.base_model not in MODEL_NAMES and not (resolved.base / expanded(recipe.model.base_model)).exists():
        return 0  # to be fetched from the Hub, which is the job's part
    folder = locate_model(recipe.model, base=resolved.base)
    weights, sizes = read_headers(folder), sizes_in(folder)
    if weights is None or sizes is None:
        return 0
    try:
        targets = tuple(recipe.adapter.targets_in(weights.modules(num_layers=sizes.layers)))
    except AdapterError:
        return 0  # the job says what is wrong
    dtype = recipe.model.torch_dtype
    bytes_per_weight = _STORED_BYTES[weights.dtype] if dtype == "auto" else 4 if dtype == "float32" else 2

    def estimate(tokens: int) -> MemoryEstimate:
        return estimate_step(
            sizes,
            base_bytes=weights.loaded_bytes(
                bytes_per_weight=bytes_per_weight, quantization=recipe.adapter.base_quantization
            ),
            num_trainable=recipe.adapter.num_trained(targets=targets, sizes=sizes, num_weights=weights.num_weights),
            bytes_per_weight=4 if recipe.adapter.trains_base else bytes_per_weight,
            tokens=tokens,
            trained_tokens=tokens,
            logits_at_a_time=chunk_tokens(sizes.vocabulary, on_gpu=True),
            gradient_checkpointing=recipe.training.gradient_checkpointing,
        )

    tokens = min(recipe.batching.micro_batch_tokens, affordable_tokens(estimate, memory_bytes))
    return estimate(tokens).total_bytes + _LIBRARIES_BYTES
