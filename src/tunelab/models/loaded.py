"""A base model in memory."""

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
