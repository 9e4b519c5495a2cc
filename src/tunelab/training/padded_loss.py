"""Padded rows through a network whose layers cannot branch: the loss of their trained tokens.

Letters in names: B rows, L places of the longest row, N nodes, M trained nodes.
"""

import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.embedding import embed
from tunelab.batching.forest import Forest
from tunelab.errors import AdapterError
from tunelab.training.head_loss import trained_loss


def rows_loss(network: PreTrainedModel, adapter: Adapter, forest: Forest) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the losses of a forest without branches, as `forest_loss` does.

    Padding comes after each row, and causal layers do not look ahead: no mask is needed, and stock attention takes
    its fastest path.

    Raises:
        AdapterError: a prefix, which such models have no keys for in every layer.
        ValueError: sequences share tokens, or have a root.
    """
    if forest.depths_N[forest.segment_starts_S].any():
        raise ValueError("rows share no token: plan_rows makes them")
    if adapter.num_prefix_positions:
        remedy = "Train a LoRA adapter or a soft prompt."
        raise AdapterError("prefix tuning needs layers that can branch", where="prefix_tuning", remedy=remedy)
    depths_N = torch.from_numpy(forest.depths_N).long()
    rows_N = (depths_N == 0).cumsum(0) - 1
    ids_BL = torch.zeros(int(rows_N[-1]) + 1, int(depths_N.max()) + 1, dtype=torch.long)
    ids_BL[rows_N, depths_N] = torch.from_numpy(forest.token_ids_N).long()
    sources_M = torch.from_numpy(forest.sources_M).long()
    # Rows differ in where something is trained: the head's input is chosen, not a slice.
    places_M = (rows_N[sources_M].to(network.device), depths_N[sources_M].to(network.device))

    return trained_loss(network, forest, places_M, **_inputs(network, adapter, ids_BL.to(network.device)))


def _inputs(network: PreTrainedModel, adapter: Adapter, ids_BL: torch.Tensor) -> dict[str, torch.Tensor]:
    if not adapter.num_virtual_tokens:
        return {"input_ids": ids_BL}  # some models look up more by id than the embeddings
    return {"inputs_embeds": embed(network, adapter, ids_BL.flatten())[0].view(*ids_BL.shape, -1)}
