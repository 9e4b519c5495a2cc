"""Queries that nobody reads are left out of the flash path, and nothing else changes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import run_plan, sequence, tiny_network
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.batching.forest import build_forest, paths_of
from tunelab.batching.step_plan import plan_step
from tunelab.models import flash_forest as module
from tunelab.models.attention import ForestLayout, _masked
from tunelab.models.branching import cannot_branch
from tunelab.models.flash_forest import Segment, flash_forest

TOKENS = st.integers(3, 5)
SEQUENCES = st.builds(sequence, st.lists(TOKENS, min_size=1, max_size=5), st.lists(TOKENS, min_size=1, max_size=6))


@settings(max_examples=40, deadline=None)
@given(st.lists(SEQUENCES, min_size=1, max_size=6), st.booleans(), st.data())
def test_outputs_and_gradients_of_the_nodes_that_are_read_are_those_of_the_whole_forest(
    sequences, with_root: bool, data: st.DataObject
) -> None:
    forest = build_forest(paths_of(sequences))
    nodes = forest.num_nodes
    read_Q = np.array(sorted(data.draw(st.sets(st.integers(0, nodes - 1)))), dtype=np.int32)
    generator = torch.Generator().manual_seed(1)

    def leaves(heads: int, length: int) -> torch.Tensor:
        return torch.randn(1, heads, length, 8, generator=generator).requires_grad_()

    query, key, value, root = leaves(4, nodes), leaves(4, nodes), leaves(4, nodes), (leaves(4, 5), leaves(4, 5))
    given_to = [query, key, value, *(root if with_root else ())]
    spans = [Segment(*span) for span in forest.spans()]
    wanted = torch.randn(1, nodes, 4, 8, generator=generator)

    def gradients(read: np.ndarray | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        output = flash_forest(query, key, value, spans=spans, root=root if with_root else None, scale=None, read_Q=read)
        loss = (output[:, read_Q] * wanted[:, read_Q]).sum()
        found = torch.autograd.grad(loss, given_to, allow_unused=True) if len(read_Q) else []
        return output.detach(), [each for each in found if each is not None]

    whole, whole_gradients = gradients(None)
    partly, part_gradients = gradients(read_Q)
    torch.testing.assert_close(partly[:, read_Q], whole[:, read_Q], rtol=1e-5, atol=1e-6)
    assert not partly[:, np.setdiff1d(np.arange(nodes), read_Q)].any()
    assert len(part_gradients) == len(whole_gradients)
    for one, other in zip(part_gradients, whole_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(SEQUENCES, min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 12), st.integers(1, 4))
def test_a_window_gives_what_a_mask_gives_wherever_its_edge_runs(
    sequences, num_root: int, window: int, most_queries: int
) -> None:
    forest = build_forest(paths_of(sequences))
    generator = torch.Generator().manual_seed(1)

    def leaves(heads: int, length: int) -> torch.Tensor:
        return torch.randn(1, heads, length, 8, generator=generator).requires_grad_()

    query, key, value = leaves(4, forest.num_nodes), leaves(2, forest.num_nodes), leaves(2, forest.num_nodes)
    root = (leaves(2, num_root), leaves(2, num_root)) if num_root else None
    spans = [Segment(*span) for span in forest.spans()]
    layout = ForestLayout(spans_S=spans, longest_path=1)
    wanted = torch.randn(1, forest.num_nodes, 4, 8, generator=generator)
    how = {"spans": spans, "root": root, "scale": None, "window": window}
    pieces = flash_forest(query, key, value, **how, most_queries=most_queries)
    masked = _masked(query, key, value, layout=layout, root=root, scale=None, window=window)
    torch.testing.assert_close(pieces, masked, rtol=1e-5, atol=1e-6)
    leaf = [query, key, value, *(root or ())]
    grads = [torch.autograd.grad((output * wanted).sum(), leaf) for output in (pieces, masked)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_in_the_last_layer_only_what_predicts_a_trained_token_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network("llama")
    adapter = attach(network, LoraConfig(r=4), init_ids=[], base_model="tiny", seed=1)
    trained = [sequence([1, 2, *range(3, 30)], [9, 8, 7]), sequence([1, 2, *range(3, 30), 4], [6])]
    assert cannot_branch(network) is None  # its trial is over before the count
    asked = []
    kernel = module._flash

    def counting(query: torch.Tensor, *arguments: torch.Tensor, is_causal: bool, **named: object):  # type: ignore[no-untyped-def]
        asked.append(query.shape[2] if is_causal else 0)
        return kernel(query, *arguments, is_causal=is_causal, **named)

    monkeypatch.setattr(module, "_flash", counting)
    run_plan(network, adapter, plan_step(trained, micro_batch_tokens=1000))
    # A trunk of 29, branches of 3 and 2. The trunk's end, two of the one branch and one of the other predict.
    assert sum(asked) == (network.config.num_hidden_layers - 1) * (29 + 3 + 2) + (1 + 2 + 1)
