"""How much memory a run will need, from numbers alone. Imports no torch."""

import os
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.models.model_files import read_description

_ADAM_COPIES = 4  # weight, gradient and two moments of each trained weight, in float32
_FEWEST_TOKENS = 256  # fewer at a time save nothing compared with the base model


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What of a model's shape decides its activations."""

    hidden: int
    layers: int
    mlp: int
    """Width of the MLP's inner layer; with experts, of all those that one token runs through."""
    vocabulary: int
    keys: int = 0
    """Width of a layer's keys over all heads; 0 if not needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes of a training step by what holds them."""

    base_bytes: int
    adapter_bytes: int
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        """The expected peak beyond what the libraries themselves occupy."""
        return self.base_bytes + self.adapter_bytes + self.activation_bytes

    def in_words(self) -> str:
        """Return such as ``about 840 MiB for weights and a step (base 512 MiB, adapter 12 MiB, a step 316 MiB)``."""
        parts = (("base", self.base_bytes), ("adapter", self.adapter_bytes), ("a step", self.activation_bytes))
        listed = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in parts)
        return f"about {self.total_bytes / 2**20:,.0f} MiB for weights and a step ({listed})"


def estimate_step(
    sizes: Sizes,
    *,
    base_bytes: int,
    num_trainable: int,
    bytes_per_weight: int,
    tokens: int,
    trained_tokens: int,
    logits_at_a_time: int,
    gradient_checkpointing: bool,
) -> MemoryEstimate:
    """Return an estimate for a micro-batch of `tokens` run tokens, `trained_tokens` of which predict.

    The root of its step counts among them. Per layer and token the backward pass keeps eight vectors of the hidden
    width and four of the MLP's; the allocator's gaps and what is at work come to three quarters of that. With
    gradient checkpointing only the layer's input stays, there are no gaps, and either the logits or one layer are at
    work. Logits, their logarithms and the gradients of both are float32, for `logits_at_a_time` tokens; the others'
    hidden states and their gradients wait. The constants are fitted to benchmarks/memory.py. `base_bytes` are those of
    the base's weights; what it computes takes `bytes_per_weight`.
    """
    layer = (2 * sizes.hidden + sizes.mlp) * bytes_per_weight
    logits = min(logits_at_a_time, trained_tokens) * sizes.vocabulary * 4
    hidden = 2 * trained_tokens * sizes.hidden * bytes_per_weight
    if gradient_checkpointing:
        activations = tokens * sizes.hidden * sizes.layers * bytes_per_weight + max(
            4 * logits + hidden, 6 * tokens * layer
        )
    else:
        activations = 7 * tokens * layer * sizes.layers + 4 * logits + hidden
    return MemoryEstimate(
        base_bytes=base_bytes,
        adapter_bytes=num_trainable * 4 * _ADAM_COPIES,
        activation_bytes=activations,
    )


def affordable_tokens(estimate: Callable[[int], MemoryEstimate], memory_bytes: int) -> int:
    """Return how many trained tokens may run at a time, so that half of `memory_bytes` holds weights and activations.

    It depends on the size of the memory, not on what is free now, so that a resumed run cuts its steps as before.

    Args:
        estimate: the estimate of a micro-batch of so many tokens, all of them trained.
        memory_bytes: of the device.
    """
    numbers = range(1, memory_bytes)
    return max(
        _FEWEST_TOKENS, bisect_right(numbers, memory_bytes // 2, key=lambda tokens: estimate(tokens).total_bytes)
    )


def sizes_in(folder: Path) -> Sizes | None:
    """Return the sizes that the config.json in `folder` names; None if it does not name them all."""
    config = read_description(folder)
    text = config.get("text_config") or config
    hidden, layers = _size(text, "hidden_size", "n_embd"), _size(text, "num_hidden_layers", "n_layer")
    vocabulary = _size(text, "vocab_size")
    if not (hidden and layers and vocabulary):
        return None
    heads = _size(text, "num_attention_heads", "n_head") or 1
    keys = (_size(text, "num_key_value_heads") or heads) * (_size(text, "head_dim") or hidden // heads)
    return Sizes(hidden=hidden, layers=layers, mlp=mlp_width(text, hidden), vocabulary=vocabulary, keys=keys)


def num_experts(config: Mapping[str, Any]) -> int:
    """Return how many experts a layer has, as a config.json says; 0 if it has none."""
    return _size(config, "num_local_experts", "num_experts", "n_routed_experts")


def mlp_width(text: Mapping[str, Any], hidden: int) -> int:
    """Return the inner width of all that a token runs through in a layer's MLP: its experts and the shared ones."""
    whole = _size(text, "intermediate_size") or 4 * hidden
    chosen = _size(text, "num_experts_per_tok", "num_experts_per_token")
    if not (chosen and num_experts(text)):
        return whole
    one = _size(text, "moe_intermediate_size") or whole
    return chosen * one + (_size(text, "shared_expert_intermediate_size") or _size(text, "n_shared_experts") * one)


def host_memory() -> int | None:
    """Return the bytes of this machine's memory; None if the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _size(config: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := config.get(name), int) and value > 0), 0)
