"""Prompts as one trie: a token that several of them begin with runs once, whichever batch they are answered in.

Shapes: B prompts of a batch, R places of the path in the cache, N nodes of a pass, M outputs that are read,
L places of the longest prompt, G key/value heads, D head width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.embedding import embed
from tunelab.batching.forest import Forest, Indices, build_trie, common_prefix
from tunelab.generation.rows import Rows, left_padded, new_cache
from tunelab.models.attention import ForestLayout, last_layer
from tunelab.models.branching import cannot_branch, network_kinds, training_attention
from tunelab.models.flash_forest import Segment
from tunelab.models.head_inputs import HeadInputs, head_inputs
from tunelab.models.loaded_model import in_eval_mode
from tunelab.rendering.rendered import TokenIds


def can_share(network: PreTrainedModel) -> bool:
    """Tell whether `network` runs forests and goes on from the keys and values of some of their nodes.

    Windows count places, not positions: padding between a prompt and its answer would shift them.
    """
    layers = DynamicCache(config=network.config).layers
    has_plain_cache = not network_kinds(network) and all(type(layer) is DynamicLayer for layer in layers)
    return has_plain_cache and cannot_branch(network) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a pass over some paths of the trie gives."""

    head: HeadInputs
    """What the head takes at the nodes whose outputs are read, each once."""
    reads: tuple[Indices, ...]
    """For each path, the places among these of its own reads."""


class Trie:
    """Runs prompts in the order of their ids, and keeps the keys and values of the path to the latest.

    Every prompt begins with the adapter's prefix and virtual tokens, which are the trie's first nodes.
    """

    # Three prompts in two batches, "5 6 7 | 5 6 8 9" and then "5 6 8 4":
    #
    #     pass 1 runs       5 6 7 8 9      a forest without a root; the cache holds its five nodes
    #     batch 1 gets      5 6 7          the places 0 1 2 of the cache,
    #                       5 6 8 9        and 0 1 3 4: a row of keys and values for each prompt, to be continued
    #     pass 2 keeps      5 6 8          what its prompts begin with of the latest path: the root of the next forest
    #            and runs   4

    def __init__(self, network: PreTrainedModel, adapter: Adapter | None) -> None:
        self.network, self.adapter = network, adapter
        self.num_run = 0
        """Tokens that were run so far, virtual ones included."""
        self.cache, self._num_prefix, virtual_VH = new_cache(network, adapter)
        self._virtual: Indices = -1 - np.arange(len(virtual_VH), dtype=np.int32)
        self._path: Indices = np.empty(0, dtype=np.int32)  # the latest
        self._places: list[Indices] = [np.arange(self._num_prefix, dtype=np.int32)]  # in the cache, of each path

    def read(self, prompts: Sequence[TokenIds]) -> tuple[Rows, torch.Tensor]:
        """Run sorted prompts; return their rows, to be continued, and the logits (B, V) of each one's next token."""
        outputs = self.run(prompts, [len(prompt) - 1 for prompt in prompts])
        device = self.network.device
        with torch.inference_mode():
            places_BL = left_padded([torch.from_numpy(each).long() for each in self._places]).to(device)
            mask_BL = left_padded([torch.ones(len(each), dtype=torch.long) for each in self._places]).to(device)
            cache = DynamicCache(config=self.network.config)
            for index, layer in enumerate(self.cache.layers):
                if layer.is_initialized:
                    pair = (each[0][:, places_BL].transpose(0, 1) for each in (layer.keys, layer.values))
                    cache.update(*pair, index)
            reads_B = torch.from_numpy(np.concatenate(outputs.reads)).long().to(device)
            logits_BV = outputs.head.logits(outputs.head.states)[reads_B].float()
        return Rows(self.network, cache, mask_BL), logits_BV

    def run(self, paths: Sequence[TokenIds], first_reads: Sequence[int]) -> Outputs:
        """Run what is new in sorted `paths`, and read the outputs of each from its token `first_reads` on."""
        paths = [np.concatenate([self._virtual, path]).astype(np.int32, copy=False) for path in paths]
        first_reads = [len(self._virtual) + first for first in first_reads]
        root = min(common_prefix(self._path, path[:first]) for path, first in zip(paths, first_reads, strict=True))
        self._keep(self._places[-1][: self._num_prefix + root])
        forest, nodes = build_trie(paths, root_length=root)
        reads = [own[first - root :] for own, first in zip(nodes, first_reads, strict=True)]
        read_M = np.unique(np.concatenate(reads))
        head = self._forward(forest, read_M, longest_path=self._num_prefix + max(map(len, paths)))
        first = self._num_prefix + root
        self._path = paths[-1]
        self._places = [np.concatenate([np.arange(first, dtype=np.int32), first + own]) for own in nodes]
        return Outputs(head=head, reads=tuple(np.searchsorted(read_M, each).astype(np.int32) for each in reads))

    def _forward(self, forest: Forest, read_M: Indices, *, longest_path: int) -> HeadInputs:
        network, device = self.network, self.network.device
        self.num_run += forest.num_nodes
        ids_N = torch.from_numpy(forest.token_ids_N).long().to(device)
        sources_M = torch.from_numpy(read_M).long().to(device)
        layout = ForestLayout(
            spans_S=[Segment(*span) for span in forest.spans()],
            longest_path=longest_path,
            last_read=(last_layer(network), read_M),
        )
        with torch.inference_mode(), in_eval_mode(network), training_attention(network):
            return head_inputs(
                network,
                (torch.zeros_like(sources_M), sources_M),
                **self._inputs(ids_N),
                position_ids=torch.from_numpy(forest.depths_N + self._num_prefix).long().to(device)[None],
                past_key_values=self.cache,
                use_cache=True,
                forest_layout=layout,
            )

    def _inputs(self, ids_N: torch.Tensor) -> dict[str, Any]:
        if self.adapter is not None and bool((ids_N < 0).any()):
            return {"inputs_embeds": embed(self.network, self.adapter, ids_N)}
        return {"input_ids": ids_N[None]}  # some models look up more by id than the embeddings

    def _keep(self, places_R: Indices) -> None:
        """Let go of all keys and values but those at `places_R`."""
        with torch.inference_mode():
            places = torch.from_numpy(places_R).long().to(self.network.device)
            for layer in self.cache.layers:
                if layer.is_initialized:
                    layer.keys, layer.values = (each.index_select(2, places) for each in (layer.keys, layer.values))
