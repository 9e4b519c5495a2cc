"""Attention over a forest: each segment attends to its ancestors and to itself, and to nothing else.

Registered with transformers as one more attention implementation, so that any model written against its attention
interface trains on forests unchanged.

Letters in shapes: H heads, G key/value heads, N nodes, D head width, Q own nodes, K seen nodes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from tunelab.errors import ModelError

IMPLEMENTATION = "tunelab_forest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestLayout:
    """What the attention of a forest needs to know; handed through the model's forward as `forest_layout`."""

    lengths_S: list[int]
    """Nodes of each segment, in the order of the row."""
    ancestors_S: Sequence[Sequence[int]]
    """For each segment, the segments above it, root first."""


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
    # Split once, not slice by slice: the gradient of a slice is as long as the whole row.
    queries, keys, values = (torch.split(each, forest_layout.lengths_S, dim=2) for each in (query, key, value))
    outputs = []
    for own, above in enumerate(forest_layout.ancestors_S):
        num_above = sum(forest_layout.lengths_S[each] for each in above)
        num_own = forest_layout.lengths_S[own]
        fits_window = sliding_window is None or num_above + num_own <= sliding_window
        # A causal kernel does half the work of a masked one. Under a short trunk it pays to ask for the trunk as well.
        is_causal = fits_window and num_above < num_own
        seen = (*above, own)
        output = functional.scaled_dot_product_attention(
            _join(queries, seen if is_causal else (own,)),
            _join(keys, seen),
            _join(values, seen),
            attn_mask=None if is_causal else _mask(num_above, num_own, sliding_window).to(query.device),
            is_causal=is_causal,
            scale=scaling,
            enable_gqa=grouped,
        )
        outputs.append(output[:, :, -num_own:].transpose(1, 2))
    return torch.cat(outputs, dim=1), None


def _join(parts_S: Sequence[torch.Tensor], segments: Sequence[int]) -> torch.Tensor:
    """Return the parts of some segments one behind the other."""
    return parts_S[segments[0]] if len(segments) == 1 else torch.cat([parts_S[each] for each in segments], dim=2)


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
