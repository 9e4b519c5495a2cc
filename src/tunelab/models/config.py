"""Settings of the base model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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
