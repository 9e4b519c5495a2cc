"""A base model in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A frozen base model, ready for an adapter."""

    network: PreTrainedModel
    folder: Path
    device: torch.device
    dtype: torch.dtype


@contextmanager
def in_eval_mode(network: PreTrainedModel) -> Iterator[None]:
    """Switch every part of `network` to evaluation within the context; each comes back as it was."""
    training = [module for module in network.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
