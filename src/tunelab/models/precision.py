"""The precision that training computes in. Imports no torch."""

from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]


def choose_precision(*, bf16: bool, fp16: bool) -> Precision:
    """Return the precision for the two switches of a recipe; the recipe refuses both at once."""
    return "bf16" if bf16 else "fp16" if fp16 else "fp32"
