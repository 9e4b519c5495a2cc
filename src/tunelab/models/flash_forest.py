"""Exact attention over a forest by the CPU's flash kernel, without a mask and without a copy of a key.

Two calls a segment: its own nodes attend to themselves, causally, and everything below it attends to all of it.
Depth-first order puts "everything below" into one stretch of the row. The parts of a node's softmax are joined through
their logarithmic sums; a part's gradient is the kernel's own, given the joined output and the joined sum.

Where only some nodes' outputs are read, only those are queries: every call then takes fewer, and a segment one causal
call for each stretch of them.

Under a window a segment goes piece by piece along its path, as far back as its queries look; only if the window's
edge runs through a piece does a call take a mask.

Letters in names: H heads, G key/value heads, N nodes, Q queries, R nodes of the root, D head width, K keys.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
MOST_QUERIES = 512
"""Queries of a call under a window; the more, the longer the edge at which what a mask hides is computed as well."""


class Segment(NamedTuple):
    """A segment in the row: its nodes, then all that hangs below it."""

    start: int
    end: int
    subtree_end: int


def flash_forest(
    query_1HND: torch.Tensor,
    key_1GND: torch.Tensor,
    value_1GND: torch.Tensor,
    *,
    spans: Sequence[Segment],
    root: tuple[torch.Tensor, torch.Tensor] | None,
    scale: float | None,
    window: int | None = None,
    read_Q: NDArray[np.int32] | None = None,
    most_queries: int = MOST_QUERIES,
) -> torch.Tensor:
    """Return (1, N, H, D) outputs; every node attends to its ancestors, itself and the (1, G, R, D) `root`.

    Args:
        window: how many places of its path, itself included, a node sees back; None for all of them.
        read_Q: the nodes whose outputs are needed, each once and ascending; the others' are zeros. None takes all,
            and so does a window.
        most_queries: of a call of the kernel under a window.
    """
    root_key, root_value = root if root is not None else (None, None)
    num_root = root_key.shape[2] if root_key is not None else 0
    if window is not None:
        calls = list(_windowed_calls(spans, num_root, window, min(window, most_queries)))
        return _attended(query_1HND, key_1GND, value_1GND, root_key, root_value, calls, scale)
    if read_Q is None:
        calls = list(_calls(spans, num_root, np.arange(query_1HND.shape[2], dtype=np.int32)))
        return _attended(query_1HND, key_1GND, value_1GND, root_key, root_value, calls, scale)
    batch, heads, nodes, width = query_1HND.shape
    outputs = query_1HND.new_zeros((batch, nodes, heads, width))
    if not len(read_Q):
        return outputs
    places_Q = torch.from_numpy(read_Q).long()
    read = query_1HND.index_select(2, places_Q)
    output = _attended(read, key_1GND, value_1GND, root_key, root_value, list(_calls(spans, num_root, read_Q)), scale)
    return outputs.index_copy(1, places_Q, output)


class _Call(NamedTuple):
    """One call of the kernel."""

    queries: slice
    """Among the queries."""
    keys: slice
    """Among the nodes."""
    is_causal: bool
    is_of_root: bool = False
    """The keys are among the root's nodes."""
    ahead: int | None = None
    """How far the first query sees beyond the first key, negative for not at all; None if all see all."""


def _calls(spans: Sequence[Segment], num_root: int, read_Q: NDArray[np.int32]) -> Iterator[_Call]:
    """Yield the calls whose parts make up the softmax of each query; its causal one comes first."""
    for start, end, subtree_end in reversed(spans):
        first, below, after = (int(place) for place in np.searchsorted(read_Q, (start, end, subtree_end)))
        breaks = first + 1 + np.flatnonzero(np.diff(read_Q[first:below]) != 1)
        for one, other in pairwise([first, *breaks.tolist(), below] if below > first else []):
            queries, opens = slice(one, other), int(read_Q[one])
            yield _Call(queries, slice(opens, opens + other - one), True)
            if opens > start:
                yield _Call(queries, slice(start, opens), False)
        if after > below:
            yield _Call(slice(below, after), slice(start, end), False)
    if num_root:
        yield _Call(slice(0, len(read_Q)), slice(0, num_root), False, is_of_root=True)


class _Piece(NamedTuple):
    """A stretch of a path."""

    first_depth: int
    end_depth: int
    start: int
    """Of its first node, in the row or in the root."""
    subtree_end: int | None
    """None for the root's nodes."""


def _windowed_calls(spans: Sequence[Segment], num_root: int, window: int, most: int) -> Iterator[_Call]:
    """Yield the same calls for queries that see back `window` places of their path, `most` at a time."""
    path = [_Piece(0, num_root, 0, None)]
    for span in spans:
        while (end := path[-1].subtree_end) is not None and end <= span.start:
            path.pop()
        depth = path[-1].end_depth
        for start in range(span.start, span.end, most):
            queries = slice(start, min(start + most, span.end))
            yield _Call(queries, queries, True)
            before = _Piece(depth, depth + start - span.start, span.start, span.subtree_end)
            for piece in reversed([*path, before]):
                yield from _calls_of_piece(queries, before.end_depth, piece, window)
        path.append(_Piece(depth, depth + span.end - span.start, span.start, span.subtree_end))


def _calls_of_piece(queries: slice, depth: int, piece: _Piece, window: int) -> Iterator[_Call]:
    """Yield the calls of queries, the first at `depth`, over a piece further up; none if it is out of reach."""
    num_queries, is_of_root = queries.stop - queries.start, piece.subtree_end is None
    seen_by_one = max(piece.first_depth, depth - window + 1)
    seen_by_all = min(max(seen_by_one, depth + num_queries - window), piece.end_depth)

    def keys(first: int, end: int) -> slice:
        return slice(piece.start + first - piece.first_depth, piece.start + end - piece.first_depth)

    if seen_by_all < piece.end_depth:
        yield _Call(queries, keys(seen_by_all, piece.end_depth), False, is_of_root)
    if seen_by_one < seen_by_all:
        # No query without a key: its softmax would be none.
        reach = slice(queries.start, queries.start + min(num_queries, seen_by_all - 1 + window - depth))
        yield _Call(reach, keys(seen_by_one, seen_by_all), False, is_of_root, ahead=window - 1 - depth + seen_by_one)


@lru_cache(maxsize=256)
def _mask(num_queries: int, num_keys: int, ahead: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the (Q, K) mask to be added to the logits where query q sees key k if q <= k + ahead."""
    places = torch.arange(num_queries)[:, None] - torch.arange(num_keys)[None, :]
    return torch.zeros(places.shape, dtype=dtype).masked_fill(places > ahead, float("-inf"))


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
        held = _held(key, value, root_key, root_value)
        for call in calls:
            own, (keys, values) = call.queries, held[call.is_of_root]
            part, part_sums = _flash(
                query[:, :, own],
                keys[:, :, call.keys],
                values[:, :, call.keys],
                is_causal=call.is_causal,
                attn_mask=_mask_of(call, query.dtype),
                scale=scale,
            )
            if call.is_causal:
                output[:, :, own], log_sums[:, :, own] = part, part_sums
            else:
                _join(output[:, :, own], log_sums[:, :, own], part, part_sums)
        output = output.to(query.dtype)
        ctx.save_for_backward(query, key, value, root_key, root_value, output, log_sums)
        ctx.calls, ctx.scale = calls, scale
        return output.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, root_key, root_value, output, log_sums = ctx.saved_tensors
        grad = grad.transpose(1, 2)
        grad_query = torch.zeros_like(query)
        held = _held(key, value, root_key, root_value)
        grads = [[torch.zeros_like(each) for each in pair] for pair in held]
        for call in ctx.calls:
            own, (keys, values) = call.queries, held[call.is_of_root]
            parts = _flash_backward(
                grad[:, :, own],
                query[:, :, own],
                keys[:, :, call.keys],
                values[:, :, call.keys],
                output[:, :, own],
                log_sums[:, :, own],
                0.0,
                call.is_causal,
                attn_mask=_mask_of(call, query.dtype),
                scale=ctx.scale,
            )
            grad_query[:, :, own] += parts[0]
            for one, part in zip(grads[call.is_of_root], parts[1:], strict=True):
                one[:, :, call.keys] += part
        (grad_key, grad_value), (grad_root_key, grad_root_value) = [*grads, (None, None)][:2]
        return grad_query, grad_key, grad_value, grad_root_key, grad_root_value, None, None


def _held(
    key: torch.Tensor, value: torch.Tensor, root_key: torch.Tensor | None, root_value: torch.Tensor | None
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the keys and values of the nodes, and then those of the root, if there is one."""
    return [(key, value)] if root_key is None or root_value is None else [(key, value), (root_key, root_value)]


def _mask_of(call: _Call, dtype: torch.dtype) -> torch.Tensor | None:
    if call.ahead is None:
        return None
    return _mask(*(each.stop - each.start for each in (call.queries, call.keys)), call.ahead, dtype)


def _join(output: torch.Tensor, log_sums: torch.Tensor, part: torch.Tensor, part_sums: torch.Tensor) -> None:
    """Take another part of the same softmax into `output` and `log_sums`."""
    output.lerp_(part.to(output.dtype), torch.sigmoid(part_sums - log_sums)[..., None])
    log_sums.copy_(torch.logaddexp(log_sums, part_sums))
