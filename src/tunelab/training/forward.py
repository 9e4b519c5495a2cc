"""A forest through a network: the loss of its trained nodes."""

from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.forest import Forest
from tunelab.models.attention import IMPLEMENTATION, ForestLayout
from tunelab.models.flash_forest import Span
from tunelab.training.embedding import embed
from tunelab.training.root import Root
from tunelab.training.rows import rows_loss


def forest_loss(network: PreTrainedModel, adapter: Adapter, forest: Forest, root: Root) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the weighted losses of the trained nodes.

    Divide by the trained tokens of the whole optimizer step to get its mean loss. Call within `training_attention`,
    with the root that `run_root` made of the first tokens which the forest leaves out. A network that cannot branch
    takes a forest of `plant_rows`, and no root.
    """
    if network.config._attn_implementation != IMPLEMENTATION:
        return rows_loss(network, adapter, forest)
    tensors = _place(forest, network.device, root, adapter.num_prefix_positions)
    inputs = embed(network, adapter, tensors.token_ids_N)
    logits_MV = network(
        inputs_embeds=inputs,
        position_ids=tensors.positions_N[None],
        use_cache=False,
        logits_to_keep=tensors.sources_M,  # logits only where something is trained
        forest_layout=tensors.layout,
    ).logits[0]
    losses_M = functional.cross_entropy(logits_MV.float(), tensors.targets_M, reduction="none")
    return (losses_M * tensors.weights_M).sum()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Placed:
    token_ids_N: torch.Tensor
    positions_N: torch.Tensor
    sources_M: torch.Tensor
    targets_M: torch.Tensor
    weights_M: torch.Tensor
    layout: ForestLayout


def _place(forest: Forest, device: torch.device, root: Root, num_before: int) -> _Placed:
    layout = ForestLayout(
        spans_S=[Span(*span) for span in forest.spans()],
        longest_path=num_before + int(forest.depths_N.max()) + 1,
        root=root.layers,
    )
    return _Placed(
        token_ids_N=torch.from_numpy(forest.token_ids_N).long().to(device),
        positions_N=torch.from_numpy(forest.depths_N + num_before).long().to(device),
        sources_M=torch.from_numpy(forest.sources_M).long().to(device),
        targets_M=torch.from_numpy(forest.targets_M).long().to(device),
        weights_M=torch.from_numpy(forest.weights_M).to(device),
        layout=layout,
    )
