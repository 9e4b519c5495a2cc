"""Settings of the base model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tunelab.errors import ModelError
from tunelab.settings import marks

Quantization = Literal["nf4", "int8"]
"""How the weights of linear layers may be packed in memory: 4 bits of bitsandbytes' NormalFloat, or 8 of its int8."""
BITS: dict[Quantization, int] = {"nf4": 4, "int8": 8}
Precision = Literal["fp32", "bf16", "fp16"]
"""What training computes in."""


class ModelConfig(BaseModel):
    """Which base model, in which precision, where."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    base_model: str = Field("nano", json_schema_extra=marks(everyday=True))
    """nano (embedded), smollm2 (by the extra of that name), a local folder, a GGUF, or a Hub id."""
    revision: str | None = None
    """Commit of a Hub model; required there, so that the base cannot change under an adapter."""
    torch_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the base weights; auto is float32 on a CPU and the stored one on a GPU."""
    device_map: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""


def choose_precision(*, bf16: bool, fp16: bool) -> Precision:
    """Return the precision for the two switches of a recipe; the recipe refuses both at once."""
    return "bf16" if bf16 else "fp16" if fp16 else "fp32"


def expects_gpu(requested: str) -> bool:
    """Return whether a `device_map` leads to a GPU, as far as its device file says without torch."""
    return requested == "cuda" or (requested == "auto" and Path("/dev/nvidia0").exists())


def name_of_dtype(requested: str, *, stored: str, precision: Precision, on_gpu: bool) -> str:
    """Return the precision of the base weights in memory, such as ``bfloat16``.

    Args:
        requested: `model.torch_dtype`.
        stored: what the weights were saved in.
        precision: what training computes in.
        on_gpu: whether the model runs on a GPU.

    Raises:
        ModelError: two half precisions would mix.
    """
    dtype = requested
    if requested == "auto":
        dtype = stored if on_gpu or precision == "fp16" else "float32" if precision == "fp32" else "bfloat16"
    if precision == "fp16" and dtype == "bfloat16":
        raise ModelError(
            "fp16 cannot train over bfloat16 weights: float16 ends at 65,504, so their activations overflow",
            where="training.fp16",
            remedy="Use training.bf16: true, or set model.torch_dtype to float32.",
        )
    if precision == "bf16" and dtype == "float16":
        raise ModelError(
            "bf16 cannot train over float16 weights: two half precisions would mix",
            where="training.bf16",
            remedy="Use training.fp16: true, or set model.torch_dtype to bfloat16 or float32.",
        )
    return dtype
