"""Padded rows through a network whose layers cannot branch: the loss of their trained tokens.

Letters in names: B rows, L places of the longest row, N nodes, M trained nodes, H hidden, V vocabulary.
"""

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.forest import Forest
from tunelab.errors import AdapterError
from tunelab.training.embedding import embed


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
    places = (rows_N[sources_M].to(network.device), depths_N[sources_M].to(network.device))

    def keep_sources(_: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor]:
        hidden_BLH: torch.Tensor = inputs[0]
        return (hidden_BLH[places][None],)

    # Logits only where something is trained: rows differ in where that is, so the head's input is chosen, not a slice.
    hook = network.get_output_embeddings().register_forward_pre_hook(keep_sources)
    try:
        logits_MV = network(**_inputs(network, adapter, ids_BL.to(network.device)), use_cache=False).logits[0]
    finally:
        hook.remove()
    return summed_loss(logits_MV, forest)


def summed_loss(logits_MV: torch.Tensor, forest: Forest) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the weighted losses of the trained nodes, given their logits."""
    targets_M = torch.from_numpy(forest.targets_M).long().to(logits_MV.device)
    losses_M = functional.cross_entropy(logits_MV.float(), targets_M, reduction="none")
    return (losses_M * torch.from_numpy(forest.weights_M).to(logits_MV.device)).sum()


def _inputs(network: PreTrainedModel, adapter: Adapter, ids_BL: torch.Tensor) -> dict[str, torch.Tensor]:
    if not adapter.num_virtual_tokens:
        return {"input_ids": ids_BL}  # some models look up more by id than the embeddings
    return {"inputs_embeds": embed(network, adapter, ids_BL.flatten())[0].view(*ids_BL.shape, -1)}
