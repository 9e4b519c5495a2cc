"""Token ids, virtual ones among them, as input embeddings."""

import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter


def embed(network: PreTrainedModel, adapter: Adapter, token_ids_N: torch.Tensor) -> torch.Tensor:
    """Return (1, N, hidden) input embeddings; virtual tokens (ids below 0) take the adapter's vectors."""
    embeddings: torch.Tensor = network.get_input_embeddings()(token_ids_N.clamp(min=0))
    if adapter.num_virtual_tokens:
        virtual = adapter.virtual_embeddings().to(embeddings.dtype)
        is_virtual = token_ids_N < 0
        which = (-1 - token_ids_N).clamp(min=0, max=len(virtual) - 1)
        embeddings = torch.where(is_virtual[:, None], virtual[which], embeddings)
    return embeddings[None]
