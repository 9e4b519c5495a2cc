"""A forest through a network: the loss of its trained nodes."""

from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.forest import Forest
from tunelab.models.attention import ForestLayout
from tunelab.models.flash_forest import Span


def forest_loss(network: PreTrainedModel, adapter: Adapter, forest: Forest) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the weighted losses of the trained nodes.

    Divide by the trained tokens of the whole optimizer step to get its mean loss. Call within `forest_attention`.
    """
    device = network.device
    tensors = _place(forest, device)
    inputs = _embed(network, adapter, tensors.token_ids_N)
    logits_MV = network(
        inputs_embeds=inputs,
        position_ids=tensors.depths_N[None],
        use_cache=False,
        logits_to_keep=tensors.sources_M,  # logits only where something is trained
        forest_layout=tensors.layout,
    ).logits[0]
    losses_M = functional.cross_entropy(logits_MV.float(), tensors.targets_M, reduction="none")
    return (losses_M * tensors.weights_M).sum()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Placed:
    token_ids_N: torch.Tensor
    depths_N: torch.Tensor
    sources_M: torch.Tensor
    targets_M: torch.Tensor
    weights_M: torch.Tensor
    layout: ForestLayout


def _place(forest: Forest, device: torch.device) -> _Placed:
    layout = ForestLayout(
        spans_S=[Span(*span) for span in forest.spans()],
        ancestors_S=[forest.ancestors(segment) for segment in range(len(forest.segment_starts_S))],
        longest_path=int(forest.depths_N.max()) + 1,
    )
    return _Placed(
        token_ids_N=torch.from_numpy(forest.token_ids_N).long().to(device),
        depths_N=torch.from_numpy(forest.depths_N).long().to(device),
        sources_M=torch.from_numpy(forest.sources_M).long().to(device),
        targets_M=torch.from_numpy(forest.targets_M).long().to(device),
        weights_M=torch.from_numpy(forest.weights_M).to(device),
        layout=layout,
    )


def _embed(network: PreTrainedModel, adapter: Adapter, token_ids_N: torch.Tensor) -> torch.Tensor:
    """Return (1, N, hidden) input embeddings; virtual tokens (ids below 0) take the adapter's vectors."""
    embeddings: torch.Tensor = network.get_input_embeddings()(token_ids_N.clamp(min=0))
    if adapter.num_virtual_tokens:
        virtual = adapter.virtual_embeddings().to(embeddings.dtype)
        is_virtual = token_ids_N < 0
        which = (-1 - token_ids_N).clamp(min=0, max=len(virtual) - 1)
        embeddings = torch.where(is_virtual[:, None], virtual[which], embeddings)
    return embeddings[None]
