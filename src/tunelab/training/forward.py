"""A forest through a network: the loss of its trained nodes."""

import numpy as np
import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.embedding import embed
from tunelab.batching.forest import Forest
from tunelab.models.attention import IMPLEMENTATION, ForestLayout, last_layer
from tunelab.models.flash_forest import Segment
from tunelab.training.forest_root import Root
from tunelab.training.head_loss import trained_loss
from tunelab.training.padded_loss import rows_loss


def forest_loss(network: PreTrainedModel, adapter: Adapter, forest: Forest, root: Root) -> torch.Tensor:
    """Return the sum (nats, float32 scalar) of the weighted losses of the trained nodes.

    Divide by the trained tokens of the whole optimizer step to get its mean loss. Call within `training_attention`,
    with the root that `run_root` made of the first tokens which the forest leaves out. A network that cannot branch
    takes a forest of `plan_rows`, and no root.
    """
    if network.config._attn_implementation != IMPLEMENTATION:
        return rows_loss(network, adapter, forest)
    device, num_before = network.device, adapter.num_prefix_positions
    sources_M = torch.from_numpy(forest.sources_M).long().to(device)
    return trained_loss(
        network,
        forest,
        (torch.zeros_like(sources_M), sources_M),
        inputs_embeds=embed(network, adapter, torch.from_numpy(forest.token_ids_N).long().to(device)),
        position_ids=torch.from_numpy(forest.depths_N + num_before).long().to(device)[None],
        forest_layout=ForestLayout(
            spans_S=[Segment(*span) for span in forest.spans()],
            longest_path=num_before + int(forest.depths_N.max()) + 1,
            root=root.layers,
            last_read=(last_layer(network), np.unique(forest.sources_M)),
        ),
    )
