"""The root of a step: the tokens above every forest. They run once, and their gradients are sent back once.

Letters in names: R tokens of the root.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.embedding import embed
from tunelab.models.attention import ForestLayout, KeysValues, last_layer
from tunelab.models.flash_forest import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Keys and values that every token of a step attends to."""

    layers: Mapping[int, KeysValues]
    """By layer, (1, G, R, D) leaves, in which the backward passes of the micro-batches add their gradients up."""
    grown: Mapping[int, KeysValues]
    """The same tensors as the network and the adapter made them, with their graph."""

    def backward(self) -> None:
        """Send the gathered gradients back through the root's own graph, once."""
        # One key of the root is k = w * x, with x = 3. One forest adds 2 * k to the loss, another 5 * k. Their backward
        # passes end at the leaf and leave 2, then 2 + 5 = 7 in leaf.grad. Sent on once, this gives w its gradient
        # 7 * x = 21; had each forest run the root for itself, w would have got 2 * 3 and 5 * 3, which is the same 21.
        tensors = [tensor for layer in self.grown for tensor in self.grown[layer]]
        gradients = [leaf.grad for layer in self.grown for leaf in self.layers[layer]]
        reached = [(one, grad) for one, grad in zip(tensors, gradients, strict=True) if grad is not None]
        if reached:
            torch.autograd.backward([one for one, _ in reached], [grad for _, grad in reached])


def run_root(network: PreTrainedModel, adapter: Adapter, token_ids_R: NDArray[np.int32]) -> Root:
    """Return the root of a step: the adapter's prefix, if it has one, and the tokens that all sequences share.

    Call within `training_attention`.
    """
    grown: dict[int, KeysValues] = dict(enumerate(adapter.prefix_keys_values()))
    if len(token_ids_R):
        own: dict[int, KeysValues] = {}
        length, before = len(token_ids_R), adapter.num_prefix_positions
        nothing = torch.zeros(0, dtype=torch.long, device=network.device)
        network(
            inputs_embeds=embed(network, adapter, torch.from_numpy(token_ids_R).long().to(network.device)),
            position_ids=torch.arange(before, before + length, device=network.device)[None],
            use_cache=False,
            logits_to_keep=nothing,  # a root predicts nothing
            forest_layout=ForestLayout(
                spans_S=[Segment(0, length, length)],
                longest_path=before + length,
                root=grown,
                keep=own.__setitem__,
                last_read=(last_layer(network), np.zeros(0, dtype=np.int32)),
            ),
        )
        grown = {layer: _joined(grown.get(layer), pair) for layer, pair in own.items()}
    leaves = {layer: (_leaf(key), _leaf(value)) for layer, (key, value) in grown.items()}
    return Root(layers=leaves, grown=grown)


def _joined(prefix: KeysValues | None, own: KeysValues) -> KeysValues:
    if prefix is None:
        return own
    key, value = (torch.cat([one.to(other.dtype), other], dim=2) for one, other in zip(prefix, own, strict=True))
    return key, value


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad and torch.is_grad_enabled())
