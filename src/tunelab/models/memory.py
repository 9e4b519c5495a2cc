"""How much memory a run will need, said before it starts."""

from dataclasses import dataclass

import psutil
import torch
import transformers

_ADAM_COPIES = 4  # weight, gradient and two moments of each trained weight, in float32
_FEWEST_TOKENS = 256  # fewer at a time save nothing beside the base model


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


def estimate_memory(
    config: transformers.PretrainedConfig,
    *,
    num_weights: int,
    num_trainable: int,
    bytes_per_weight: int,
    tokens: int,
    trained_tokens: int,
    gradient_checkpointing: bool,
) -> MemoryEstimate:
    """Return an estimate for a micro-batch of `tokens` run tokens, `trained_tokens` of which predict.

    The root of its step counts among them. Per layer and token the backward pass keeps eight vectors of the hidden
    width and four of the MLP's; the allocator's gaps and what is at work come to three quarters of that. With
    gradient checkpointing only the layer's input stays, there are no gaps, and either the logits or one layer are at
    work. Logits, their logarithms and the gradients of both are float32, for predicting tokens only. The constants
    are fitted to benchmarks/memory.py.
    """
    text = config.get_text_config()
    hidden, layers = int(text.hidden_size), int(text.num_hidden_layers)
    mlp = int(getattr(text, "intermediate_size", None) or 4 * hidden)
    layer = (2 * hidden + mlp) * bytes_per_weight
    logits = trained_tokens * int(text.vocab_size) * 4
    if gradient_checkpointing:
        activations = tokens * hidden * layers * bytes_per_weight + max(3 * logits, 6 * tokens * layer)
    else:
        activations = 7 * tokens * layer * layers + 4 * logits
    return MemoryEstimate(
        base_bytes=num_weights * bytes_per_weight,
        adapter_bytes=num_trainable * 4 * _ADAM_COPIES,
        activation_bytes=activations,
    )


def device_memory(device: torch.device) -> int:
    """Return the bytes of memory that `device` has, in use or not."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def affordable_tokens(estimate_of_one_token: MemoryEstimate, memory_bytes: int) -> int:
    """Return how many trained tokens may run at a time, so that half of `memory_bytes` holds weights and activations.

    It depends on the size of the memory, not on what is free now, so that a resumed run cuts its steps as before.
    """
    fixed = estimate_of_one_token.base_bytes + estimate_of_one_token.adapter_bytes
    return max(_FEWEST_TOKENS, (memory_bytes // 2 - fixed) // estimate_of_one_token.activation_bytes)
