"""Exact attention over a forest by the CPU's flash kernel, without a mask and without a copy of a key.

Two calls a segment: its own nodes attend to themselves, causally, and everything below it attends to all of it.
Depth-first order puts "everything below" into one stretch of the row. The parts of a node's softmax are joined through
their logarithmic sums; a part's gradient is the kernel's own, given the joined output and the joined sum.

Where only some nodes' outputs are read, only those are queries: every call then takes fewer, and a segment one causal
call for each stretch of them.

Letters in names: H heads, G key/value heads, N nodes, Q queries, R nodes of the root, D head width.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class Span(NamedTuple):
    """A segment in the row: its nodes, then all that hangs below it."""

    start: int
    end: int
    subtree_end: int


def flash_forest(
    query_1HND: torch.Tensor,
    key_1GND: torch.Tensor,
    value_1GND: torch.Tensor,
    *,
    spans: Sequence[Span],
    root: tuple[torch.Tensor, torch.Tensor] | None,
    scale: float | None,
    read_Q: NDArray[np.int32] | None = None,
) -> torch.Tensor:
    """Return (1, N, H, D) outputs; every node attends to its ancestors, itself and the (1, G, R, D) `root`.

    Args:
        read_Q: the nodes whose outputs are wanted, each once and ascending; the others' are zeros. None wants all.
    """
    root_key, root_value = root if root is not None else (None, None)
    if read_Q is None:
        calls = list(_calls(spans, np.arange(query_1HND.shape[2], dtype=np.int32)))
        return _attended(query_1HND, key_1GND, value_1GND, root_key, root_value, calls, scale)
    batch, heads, nodes, width = query_1HND.shape
    outputs = query_1HND.new_zeros((batch, nodes, heads, width))
    if not len(read_Q):
        return outputs
    places_Q = torch.from_numpy(read_Q).long()
    read = query_1HND.index_select(2, places_Q)
    output = _attended(read, key_1GND, value_1GND, root_key, root_value, list(_calls(spans, read_Q)), scale)
    return outputs.index_copy(1, places_Q, output)


class _Call(NamedTuple):
    """One call of the kernel."""

    queries: slice
    """Among the queries."""
    keys: slice
    """Among the nodes."""
    is_causal: bool


def _calls(spans: Sequence[Span], read_Q: NDArray[np.int32]) -> Iterator[_Call]:
    """Yield the calls whose parts make up the softmax of each query; its causal one comes first."""
    for start, end, subtree_end in reversed(spans):
        first, below, behind = (int(place) for place in np.searchsorted(read_Q, (start, end, subtree_end)))
        breaks = first + 1 + np.flatnonzero(np.diff(read_Q[first:below]) != 1)
        for one, other in pairwise([first, *breaks.tolist(), below] if below > first else []):
            queries, opens = slice(one, other), int(read_Q[one])
            yield _Call(queries, slice(opens, opens + other - one), True)
            if opens > start:
                yield _Call(queries, slice(start, opens), False)
        if behind > below:
            yield _Call(slice(below, behind), slice(start, end), False)


def _attended(*arguments: Any) -> torch.Tensor:
    output: torch.Tensor = _FlashForest.apply(*arguments)  # type: ignore[no-untyped-call]
    return output


class _FlashForest(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        root_key: torch.Tensor | None,
        root_value: torch.Tensor | None,
        calls: Sequence[_Call],
        scale: float | None,
    ) -> torch.Tensor:
        _, heads, nodes, width = query.shape
        # Parts of half precision are joined in full precision.
        exact = torch.float32 if query.dtype.itemsize < 4 else query.dtype
        output = query.new_empty((1, nodes, heads, width), dtype=exact).transpose(1, 2)
        log_sums = query.new_empty((1, nodes, heads), dtype=exact).transpose(1, 2)
        for own, seen, is_causal in calls:
            part, part_sums = _flash(
                query[:, :, own], key[:, :, seen], value[:, :, seen], is_causal=is_causal, scale=scale
            )
            if is_causal:
                output[:, :, own], log_sums[:, :, own] = part, part_sums
            else:
                _join(output[:, :, own], log_sums[:, :, own], part, part_sums)
        if root_key is not None:
            part, part_sums = _flash(query, root_key, root_value, is_causal=False, scale=scale)
            _join(output, log_sums, part, part_sums)
        output = output.to(query.dtype)
        ctx.save_for_backward(query, key, value, root_key, root_value, output, log_sums)
        ctx.calls, ctx.scale = calls, scale
        return output.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, root_key, root_value, output, log_sums = ctx.saved_tensors
        grad = grad.transpose(1, 2)
        grad_query, grad_key, grad_value = (torch.zeros_like(each) for each in (query, key, value))
        for own, seen, is_causal in ctx.calls:
            parts = _flash_backward(
                grad[:, :, own],
                query[:, :, own],
                key[:, :, seen],
                value[:, :, seen],
                output[:, :, own],
                log_sums[:, :, own],
                0.0,
                is_causal,
                scale=ctx.scale,
            )
            grad_query[:, :, own] += parts[0]
            grad_key[:, :, seen] += parts[1]
            grad_value[:, :, seen] += parts[2]
        if root_key is None:
            return grad_query, grad_key, grad_value, None, None, None, None
        part, grad_root_key, grad_root_value = _flash_backward(
            grad, query, root_key, root_value, output, log_sums, 0.0, False, scale=ctx.scale
        )
        return grad_query.add_(part), grad_key, grad_value, grad_root_key, grad_root_value, None, None


def _join(output: torch.Tensor, log_sums: torch.Tensor, part: torch.Tensor, part_sums: torch.Tensor) -> None:
    """Take another part of the same softmax into `output` and `log_sums`."""
    output.lerp_(part.to(output.dtype), torch.sigmoid(part_sums - log_sums)[..., None])
    log_sums.copy_(torch.logaddexp(log_sums, part_sums))
