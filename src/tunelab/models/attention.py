"""Attention over a forest: each segment attends to its ancestors and to itself, and to nothing else.

Registered with transformers as one more attention implementation, so that any model written against its attention
interface trains on forests unchanged.

Letters in shapes: H heads, G key/value heads, N nodes, D head width, Q own nodes, K seen nodes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from tunelab.errors import ModelError

IMPLEMENTATION = "tunelab_forest"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """A stretch of nodes without a branch and what it sees."""

    start: int
    end: int
    ancestors_K: torch.Tensor | None
    """Indices of the nodes above the segment, root first; None at a root."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestLayout:
    """What the attention of a forest needs to know; handed through the model's forward as `forest_layout`."""

    segments: tuple[Segment, ...]
    depths_N: torch.Tensor

    def mask(self, segment: Segment, window: int | None) -> torch.Tensor | None:
        """Return the (Q, K) mask of a segment, True where it may look; None means plainly causal."""
        own = segment.end - segment.start
        above = 0 if segment.ancestors_K is None else len(segment.ancestors_K)
        if above == 0 and (window is None or own <= window):
            return None
        device = self.depths_N.device
        depth_of_query = torch.arange(above, above + own, device=device)[:, None]
        depth_of_key = torch.arange(above + own, device=device)[None, :]
        allowed = depth_of_key <= depth_of_query
        # A sliding window counts depth, which along one path is the position among ancestors and self.
        return allowed if window is None else allowed & (depth_of_query - depth_of_key < window)


@contextmanager
def forest_attention(network: PreTrainedModel) -> Iterator[None]:
    """Let `network` attend over forests within the context; its own implementation comes back afterwards."""
    previous = network.config._attn_implementation
    network.set_attn_implementation(IMPLEMENTATION)
    try:
        yield
    finally:
        network.set_attn_implementation(previous)


def refuse_if_it_cannot_branch(network: PreTrainedModel) -> None:
    """Raise a ModelError for layers whose state runs along the row and so cannot branch."""
    text_config = network.config.get_text_config()
    kinds = set(getattr(text_config, "layer_types", None) or [])
    linear = sorted(kinds - {"full_attention", "sliding_attention"})
    if linear:
        expected = "full or sliding attention in every layer"
        remedy = "Such layers carry a state along the row that cannot branch; choose another base model."
        raise ModelError(f"this model has layers of kind {', '.join(linear)}", expected=expected, remedy=remedy)


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
    """Return (1, N, H, D) outputs of (1, H, N, D) queries over (1, G, N, D) keys and values."""
    if softcap is not None:
        raise ModelError("this model caps its attention logits, which the forest does not compute yet")
    grouped = query.shape[1] != key.shape[1]
    outputs = []
    for segment in forest_layout.segments:
        own = slice(segment.start, segment.end)
        seen_key, seen_value = key[:, :, own], value[:, :, own]
        if segment.ancestors_K is not None:
            seen_key = torch.cat([key.index_select(2, segment.ancestors_K), seen_key], dim=2)
            seen_value = torch.cat([value.index_select(2, segment.ancestors_K), seen_value], dim=2)
        mask = forest_layout.mask(segment, sliding_window)
        outputs.append(
            functional.scaled_dot_product_attention(
                query[:, :, own],
                seen_key,
                seen_value,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=grouped,
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2), None


AttentionInterface.register(IMPLEMENTATION, _attend)
# The layout says who sees whom; no mask is built.
AttentionMaskInterface.register(IMPLEMENTATION, lambda *_, **__: None)
