"""Attention over a forest by FlexAttention: one compiled call a layer, whose block mask skips what nobody sees.

For GPUs. How fast it is there has not been measured yet. FlexAttention knows no backward pass on a CPU (torch 2.13).

Letters in names: N nodes, R nodes of the root, K seen nodes, the root's before the others.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from tunelab.models.flash_forest import Segment

MaskRule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Batch, head, query and key to whether the query sees the key."""


def flex_forest(
    query_1HND: torch.Tensor,
    key_1GND: torch.Tensor,
    value_1GND: torch.Tensor,
    *,
    spans: Sequence[Segment],
    root: tuple[torch.Tensor, torch.Tensor] | None,
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return (1, N, H, D) outputs; every node attends to its ancestors, itself and the (1, G, R, D) `root`.

    Args:
        window: how many places of its path, itself included, a node sees back; None for all of them.
    """
    num_root = 0
    if root is not None:
        num_root = root[0].shape[2]
        key_1GND, value_1GND = (torch.cat(pair, dim=2) for pair in ((root[0], key_1GND), (root[1], value_1GND)))
    device = query_1HND.device
    mask = _block_mask(tuple(spans), num_root, window, device)
    output: torch.Tensor = _ready(flex_attention, device.type)(
        query_1HND,
        key_1GND,
        value_1GND,
        block_mask=mask,
        scale=scale,
        enable_gqa=query_1HND.shape[1] != key_1GND.shape[1],
    )
    return output.transpose(1, 2)


def forest_rule(spans: Sequence[Segment], *, num_root: int, window: int | None, device: torch.device) -> MaskRule:
    """Return who sees whom: what comes before it on the same path, in reach of the window, and the root."""
    subtree_ends_K, depths_K = (each.to(device) for each in _ends_and_depths(spans, num_root))
    first = torch.tensor(num_root, device=device)  # as a number it would be compiled in

    def sees(_batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        place = query + first
        is_above = (key <= place) & (place < subtree_ends_K[key])
        return is_above if window is None else is_above & (depths_K[place] - depths_K[key] < window)

    return sees


def _ends_and_depths(spans: Sequence[Segment], num_root: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for the root's and the forest's nodes one past the last node below each, and the place on its path."""
    total = num_root + spans[-1].end
    ends, depths = torch.full((total,), total), torch.arange(total)
    path: list[tuple[int, int]] = []  # of the segments above: one past their subtree, one past their depth
    for span in spans:
        while path and path[-1][0] <= span.start:
            path.pop()
        depth = path[-1][1] if path else num_root
        own = slice(num_root + span.start, num_root + span.end)
        depths[own] = torch.arange(depth, depth + span.end - span.start)
        ends[own] = num_root + span.subtree_end
        path.append((span.subtree_end, depth + span.end - span.start))
    return ends, depths


@lru_cache(maxsize=4)  # of one layout, its layers with and without a window; a root has fewer nodes below it
def _block_mask(spans: tuple[Segment, ...], num_root: int, window: int | None, device: torch.device) -> BlockMask:
    num_nodes = spans[-1].end
    with torch.inference_mode(mode=False):  # what an evaluation made may meet a training step
        rule = forest_rule(spans, num_root=num_root, window=window, device=device)
        mask: BlockMask = _ready(create_block_mask, device.type)(
            rule, None, None, num_nodes, num_root + num_nodes, device=device
        )
    return mask


@cache
def _ready(function: Callable[..., Any], device_type: str) -> Callable[..., Any]:
    # Uncompiled, every pair is computed, which is for tests. Lengths differ from one micro-batch to the next: what is
    # compiled for one of them would take seconds each time.
    return function if device_type == "cpu" else torch.compile(function, dynamic=True)
