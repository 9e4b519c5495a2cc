"""What every adapter can do, whatever its kind."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch


class Adapter(Protocol):
    """Trained weights attached to a frozen network.

    The network it was attached to computes with the adapter; virtual tokens, if any, are put in front by whoever builds
    the input (the forest in training, `tunelab.generation` when answering).
    """

    @property
    def num_virtual_tokens(self) -> int:
        """Virtual tokens in front of every sequence; 0 for LoRA and while switched off."""
        ...

    @property
    def description(self) -> tuple[str, ...]:
        """What is trained, a line for each target, e.g. ``attention: 24 modules (q_proj, ...) in 6 of 6 layers``."""
        ...

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name, in a fixed order."""
        ...

    def virtual_embeddings(self) -> torch.Tensor:
        """Return the (num_virtual_tokens, hidden) vectors of the virtual tokens; no rows while switched off."""
        ...

    def disabled(self) -> AbstractContextManager[None]:
        """Switch the adapter off within the context: the network answers as the base model does."""
        ...

    def save(self, folder: Path) -> None:
        """Write a PEFT folder that stock peft loads with equal outputs."""
        ...
