"""PiSSA and OLoRA: updates that start as a part of their layer's own weight.

Their authors take that part, s B0 A0, off the frozen weight. Here the frozen weight stays what it is, and the part is
taken off the update: W + s (B A - B0 A0), which is the same layer. The base model stays itself when the adapter is
switched off, and the adapter is saved as an update of twice the rank over it.

Letters in names: O outputs, I inputs, R rank.
"""

import copy
import math
from collections.abc import Iterator

import peft
import torch
from peft.tuners.lora import LoraLayer
from torch.nn import functional


def start_from_weights(network: torch.nn.Module, method: str) -> None:
    """Make each update of `network` start from its layer's weight, by `pissa` or `olora`; outputs stay as they are."""
    for layer in network.modules():
        if isinstance(layer, LoraLayer):
            weight: torch.Tensor = layer.get_base_layer().weight
            weight_OI = (
                weight.detach().float().T if getattr(layer, "fan_in_fan_out", False) else weight.detach().float()
            )
            rank, scale = layer.r["default"], layer.scaling["default"]
            start_OR, start_RI = _pissa(weight_OI, rank, scale) if method == "pissa" else _olora(weight_OI, rank)
            layer.lora_A["default"] = _Half(start_RI, start_RI, dim=0)
            layer.lora_B["default"] = _Half(start_OR, -start_OR, dim=1)


def saved_as_lora(
    wrapped: peft.PeftModel, settings: peft.LoraConfig, weights: dict[str, torch.Tensor]
) -> tuple[peft.LoraConfig, dict[str, torch.Tensor]]:
    """Return settings and weights that say the same over the untouched base: of twice the rank if updates have starts.

    The scale stays: lora_alpha / r, or lora_alpha / sqrt(r), is what it was.
    """
    halves = dict(_halves(wrapped))
    if not halves:
        return settings, weights
    settings = copy.copy(settings)
    factor = math.sqrt(2) if settings.use_rslora else 2
    settings.r, settings.lora_alpha = 2 * settings.r, factor * settings.lora_alpha
    settings.rank_pattern = {name: 2 * rank for name, rank in settings.rank_pattern.items()}
    settings.alpha_pattern = {name: factor * alpha for name, alpha in settings.alpha_pattern.items()}
    return settings, weights | {name: half.joined() for name, half in halves.items()}


def _pissa(weight_OI: torch.Tensor, rank: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return B and A of which s B A is the weight's part along its largest singular values."""
    left_OK, values_K, right_KI = torch.linalg.svd(weight_OI, full_matrices=False)
    roots_R = (values_K[:rank] / scale).sqrt()
    return left_OK[:, :rank] * roots_R, roots_R[:, None] * right_KI[:rank]


def _olora(weight_OI: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return B, whose columns are orthonormal, and A; B A is the weight's part along them."""
    columns_OK, rows_KI = torch.linalg.qr(weight_OI)
    return columns_OK[:, :rank], rows_KI[:rank]


class _Half(torch.nn.Linear):
    """A or B of an update: the trained weight, next to the one that it started from, which stays."""

    start: torch.Tensor

    def __init__(self, trained: torch.Tensor, start: torch.Tensor, *, dim: int) -> None:
        super().__init__(trained.shape[1], trained.shape[0], bias=False, device="meta")
        self.weight = torch.nn.Parameter(trained.clone(memory_format=torch.contiguous_format))
        self.register_buffer("start", start.contiguous(), persistent=False)
        self._dim = dim

    def joined(self) -> torch.Tensor:
        return torch.cat([self.weight, self.start], dim=self._dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.joined())


def _halves(wrapped: peft.PeftModel) -> Iterator[tuple[str, _Half]]:
    """Yield the halves under their names in a saved adapter."""
    for name, module in wrapped.named_modules():
        if isinstance(module, _Half):
            yield f"{name.removesuffix('.default')}.weight", module
