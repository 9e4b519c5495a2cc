"""What every adapter can do, whatever its kind."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch


class Adapter(Protocol):
    """Trained weights attached to a frozen network.

    The network it was attached to computes with the adapter; virtual tokens and a prefix, if any, are put in front by
    whoever builds the input (the forest in training, `tunelab.generation` when answering).
    """

    @property
    def num_virtual_tokens(self) -> int:
        """Virtual tokens whose embeddings come before every sequence; 0 but for a soft prompt switched on."""
        ...

    @property
    def num_prefix_positions(self) -> int:
        """Positions that trained keys and values take in front of every sequence; 0 but for a prefix switched on.

        The first token comes after them, at position `num_prefix_positions`.
        """
        ...

    @property
    def description(self) -> tuple[str, ...]:
        """What is trained, a line for each target, e.g. ``attention: 24 modules (q_proj, ...) in 6 of 6 layers``."""
        ...

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name, in a fixed order."""
        ...

    def learning_rate_factors(self) -> dict[str, float]:
        """Return by name the trained weights with a learning rate of their own: that many times the others'."""
        return {}

    def virtual_embeddings(self) -> torch.Tensor:
        """Return the (num_virtual_tokens, hidden) vectors of the virtual tokens; no rows while there are none."""
        ...

    def prefix_keys_values(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return for each layer the (1, G, V, D) trained keys and values that come before every sequence.

        G key/value heads, V prefix positions, D head width; empty for other kinds and while switched off. Keys are used
        as they are, unrotated. They are float32: cast them to the layer's own keys. Every token attends to them as to
        its first V ancestors, so that a sliding window loses them as it does other early positions.
        """
        return []

    def disabled(self) -> AbstractContextManager[None]:
        """Switch the adapter off within the context: the network answers as the base model does."""
        ...

    def save(self, folder: Path) -> None:
        """Write a PEFT folder that stock peft loads with equal outputs."""
        ...


def no_virtual_embeddings(network: torch.nn.Module) -> torch.Tensor:
    """Return (0, hidden), for kinds that put no vectors before a prompt."""
    embeddings: torch.Tensor = network.get_input_embeddings().weight  # type: ignore[operator]
    return embeddings.new_zeros((0, embeddings.shape[1]))
