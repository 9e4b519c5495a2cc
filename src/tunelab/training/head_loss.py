"""From hidden states to the loss, a chunk of trained tokens at a time: logits never exist whole.

A vocabulary of 200,000 words takes 800 kB of logits for each trained token, and the backward pass the same again for
their gradients. So each chunk goes through the head, forward and backward, before the next one does: what stays is the
gradient of the hidden states, a few kB for each token, and that of the head's own weights if they are trained.

Letters in names: M trained nodes, H hidden, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import PreTrainedModel

from tunelab.batching.forest import Forest
from tunelab.models.head_inputs import Places, head_inputs
from tunelab.models.logit_chunk import chunk_tokens

_LOSS_SCALE = 1024.0
"""Multiplies the loss of a chunk during its backward pass, so that float16 holds the gradients of rare words."""
LossOf = Callable[[slice, torch.Tensor], torch.Tensor]
"""Returns the summed loss of some of the trained nodes, given their hidden states."""


def trained_loss(network: PreTrainedModel, forest: Forest, places_M: Places, **inputs: Any) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the weighted losses of the trained nodes of `forest`.

    `inputs` are those of the network's forward. A network that does something unknown between head and logits computes
    all logits itself, at once.

    Raises:
        ModelError: the network does not say which layer is its head.
    """
    found = head_inputs(network, places_M, use_cache=False, **inputs)
    targets_M = torch.from_numpy(forest.targets_M).long().to(found.states.device)
    weights_M = torch.from_numpy(forest.weights_M).to(found.states.device)
    if found.rule is None:
        return _weighted_loss(found.states, targets_M, weights_M)

    def loss_of(chunk: slice, hidden_CH: torch.Tensor) -> torch.Tensor:
        return _weighted_loss(found.logits(hidden_CH), targets_M[chunk], weights_M[chunk])

    heaviest = float(forest.weights_M.max(initial=1))
    return _summed(found.head, loss_of, found.states, vocabulary=found.vocabulary, heaviest=heaviest)


def _weighted_loss(logits_CV: torch.Tensor, targets_C: torch.Tensor, weights_C: torch.Tensor) -> torch.Tensor:
    losses_C = functional.cross_entropy(logits_CV.float(), targets_C, reduction="none")
    return (losses_C * weights_C).sum()


def _summed(
    head: torch.nn.Module, loss_of: LossOf, hidden_MH: torch.Tensor, *, vocabulary: int, heaviest: float
) -> torch.Tensor:
    """Return the loss of all chunks, together with their gradients if any are needed."""
    size = chunk_tokens(vocabulary, on_gpu=hidden_MH.device.type == "cuda")
    chunks = [slice(start, start + size) for start in range(0, len(hidden_MH), size)]
    trained = [weight for weight in head.parameters() if weight.requires_grad]
    if torch.is_grad_enabled() and (trained or hidden_MH.requires_grad):
        scale = _LOSS_SCALE / heaviest
        loss: torch.Tensor = _ForwardAndBackward.apply(hidden_MH, chunks, loss_of, scale, *trained)  # type: ignore[no-untyped-call]
        return loss
    return sum((loss_of(chunk, hidden_MH[chunk]) for chunk in chunks), hidden_MH.new_zeros((), dtype=torch.float32))


class _ForwardAndBackward(torch.autograd.Function):
    """The loss of all chunks. Its gradients are computed along with it, and only multiplied in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_MH: torch.Tensor,
        chunks: Sequence[slice],
        loss_of: LossOf,
        scale: float,
        *weights: torch.nn.Parameter,
    ) -> torch.Tensor:
        total = hidden_MH.new_zeros((), dtype=torch.float32)
        hidden_gradient = torch.zeros_like(hidden_MH)
        gradients: list[torch.Tensor | None] = [None] * len(weights)
        for chunk in chunks:
            with torch.enable_grad():
                hidden_CH = hidden_MH[chunk].detach().requires_grad_()
                loss = loss_of(chunk, hidden_CH)
            hidden_gradient[chunk], *more = torch.autograd.grad(
                loss, [hidden_CH, *weights], grad_outputs=torch.full_like(loss, scale), allow_unused=True
            )
            gradients = [_added(*pair) for pair in zip(gradients, more, strict=True)]
            total += loss.detach()
        ctx.gradients, ctx.scale = [hidden_gradient, *gradients], scale
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, *weights = [each if each is None else each.mul_(upstream / ctx.scale) for each in ctx.gradients]
        ctx.gradients = None  # they are multiplied in place: there is no second time
        return hidden, None, None, None, *weights


def _added(total: torch.Tensor | None, more: torch.Tensor | None) -> torch.Tensor | None:
    return more if total is None else total if more is None else total.add_(more)
