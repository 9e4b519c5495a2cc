"""Attention over a forest: each segment attends to its ancestors and to itself, and to nothing else.

Registered with transformers as one more attention implementation, so that any model written against its attention
interface trains on forests unchanged.

Letters in shapes: H heads, G key/value heads, N nodes, S segments, R root's nodes, D head width, Q own nodes, K seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.cache_utils import DynamicCache

from tunelab.errors import ModelError
from tunelab.models.flash_forest import Segment, flash_forest
from tunelab.models.flex_forest import flex_forest

IMPLEMENTATION = "tunelab_forest"
KeysValues = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestLayout:
    """What the attention of a forest needs to know; handed through the model's forward as `forest_layout`."""

    spans_S: Sequence[Segment]
    """Where each segment lies in the row, and what hangs below it."""
    longest_path: int
    """Tokens of the longest sequence, root included."""
    root: Mapping[int, KeysValues] = field(default_factory=dict)
    """By layer, (1, G, R, D) keys and values that every node attends to besides its ancestors; empty for none."""
    keep: Callable[[int, KeysValues], None] | None = None
    """Where given, each layer hands over its number, keys and values, to be a root for others.

    No dict to put them into: FSDP2 hands each layer copies of the containers among its arguments.
    """
    last_read: tuple[int, NDArray[np.int32]] | None = None
    """The last layer's number, and the nodes whose outputs anyone reads, each once and ascending; None for all.

    After the last attention nodes meet no more: what it gives the others is for nobody. The flash path leaves it out.
    """


@contextmanager
def forest_attention(network: PreTrainedModel) -> Iterator[None]:
    """Let `network` attend over forests within the context; its own implementation comes back afterwards.

    For networks that branch; `branching.training_attention` minds the others, too.
    """
    previous = network.config._attn_implementation
    network.set_attn_implementation(IMPLEMENTATION)
    try:
        yield
    finally:
        network.set_attn_implementation(previous)


def sliding_windows(network: PreTrainedModel) -> list[int]:
    """Return the window, in positions, of each layer that has one."""
    return [layer.sliding_window for layer in DynamicCache(config=network.config).layers if layer.is_sliding]


def last_layer(network: PreTrainedModel) -> int:
    """Return the number of the last layer, as its attention knows it."""
    return int(network.config.get_text_config(decoder=True).num_hidden_layers) - 1


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    forest_layout: ForestLayout,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Return (1, N, H, D) outputs of (1, H, N, D) queries over (1, G, N, D) keys and values.

    Keys and values out of a cache, (1, G, R + N, D), begin with those of the root.
    """
    if softcap is not None:
        raise ModelError("this model caps its attention logits, which the forest does not compute yet")
    # Under autocast the rotation leaves queries and keys in full precision.
    query, key = query.to(value.dtype), key.to(value.dtype)
    layout, layer = forest_layout, int(module.layer_idx)  # type: ignore[arg-type]
    if layout.keep is not None:
        layout.keep(layer, (key, value))
    root = layout.root.get(layer)
    if root is not None:
        root = (root[0].to(key.dtype), root[1].to(value.dtype))
    elif num_cached := key.shape[2] - query.shape[2]:
        root = (key[:, :, :num_cached], value[:, :, :num_cached])
        key, value = key[:, :, num_cached:], value[:, :, num_cached:]
    window = sliding_window if sliding_window is not None and layout.longest_path > sliding_window else None
    if query.device.type == "cuda":
        spans = layout.spans_S
        return flex_forest(query, key, value, spans=spans, root=root, scale=scaling, window=window), None
    if query.device.type == "cpu" and key.shape[-1] == value.shape[-1]:
        read_Q = layout.last_read[1] if layout.last_read is not None and layout.last_read[0] == layer else None
        spans = layout.spans_S
        output = flash_forest(query, key, value, spans=spans, root=root, scale=scaling, window=window, read_Q=read_Q)
        return output, None
    return _masked(query, key, value, layout=layout, root=root, scale=scaling, window=window), None


def _masked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    layout: ForestLayout,
    root: KeysValues | None,
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return the (1, N, H, D) outputs segment by segment, under a mask: for odd widths and other devices."""
    outputs = []
    path: list[Segment] = []  # the segments above, topmost first, and the segment itself
    for own in layout.spans_S:
        while path and path[-1].subtree_end <= own.start:
            path.pop()
        path.append(own)
        keys, values = ([each[:, :, span.start : span.end] for span in path] for each in (key, value))
        if root is not None:
            keys, values = [root[0], *keys], [root[1], *values]
        num_own, num_seen = own.end - own.start, sum(each.shape[2] for each in keys)
        output = functional.scaled_dot_product_attention(
            query[:, :, own.start : own.end],
            torch.cat(keys, dim=2),
            torch.cat(values, dim=2),
            attn_mask=_mask(num_seen - num_own, num_own, window).to(query.device),
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        outputs.append(output.transpose(1, 2))
    return torch.cat(outputs, dim=1)


@lru_cache(maxsize=1024)
def _mask(above: int, own: int, window: int | None) -> torch.Tensor:
    """Return the (Q, K) mask of `own` nodes under `above` others, True where one may look."""
    # Along one path, depth is the place among ancestors and self; a sliding window counts depth.
    query_depth = torch.arange(above, above + own)[:, None]
    key_depth = torch.arange(above + own)[None, :]
    allowed = key_depth <= query_depth
    return allowed if window is None else allowed & (query_depth - key_depth < window)


AttentionInterface.register(IMPLEMENTATION, _attend)
# The layout says who sees whom; no mask is built.
AttentionMaskInterface.register(IMPLEMENTATION, lambda *_, **__: None)
