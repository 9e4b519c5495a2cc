"""FlexAttention's rule and call, against the rule said densely and against the other way. No GPU is needed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_mask

from networks import sequence
from tunelab.batching.forest import Forest, build_forest, paths_of
from tunelab.models.attention import ForestLayout, _masked
from tunelab.models.flash_forest import Segment
from tunelab.models.flex_forest import flex_forest, forest_rule

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

CPU = torch.device("cpu")
SEQUENCES = st.lists(
    st.builds(
        sequence,
        st.lists(st.integers(3, 5), min_size=1, max_size=5),
        st.lists(st.integers(3, 5), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)
WINDOWS = st.sampled_from((None, 1, 3, 6))


def spans_of(forest: Forest) -> list[Segment]:
    return [Segment(*span) for span in forest.spans()]


def dense_rule(forest: Forest, num_root: int, window: int | None) -> torch.Tensor:
    """Return the (N, R + N) rule of the design, node by node."""
    ends, depths = forest.subtree_ends_N.tolist(), forest.depths_N.tolist()
    seen = torch.zeros(forest.num_nodes, num_root + forest.num_nodes, dtype=torch.bool)
    for query in range(forest.num_nodes):
        reach = num_root + depths[query] - (window or 1_000_000)
        for key in range(num_root):
            seen[query, key] = key > reach
        for key in range(forest.num_nodes):
            seen[query, num_root + key] = key <= query < ends[key] and num_root + depths[key] > reach
    return seen


@settings(max_examples=40, deadline=None)
@given(SEQUENCES, st.sampled_from((0, 4)), WINDOWS, st.booleans())
def test_the_rule_lets_a_node_see_its_ancestors_itself_and_the_root_within_the_window(
    sequences, num_root: int, window: int | None, share: bool
) -> None:
    forest = build_forest(paths_of(sequences, share=share), share=share)
    rule = forest_rule(spans_of(forest), num_root=num_root, window=window, device=CPU)
    nodes = forest.num_nodes
    seen = create_mask(rule, None, None, nodes, num_root + nodes, device="cpu")[0, 0]
    assert torch.equal(seen, dense_rule(forest, num_root, window))


@settings(max_examples=15, deadline=None)
@given(SEQUENCES, st.booleans(), WINDOWS, st.sampled_from((None, 0.3)))
def test_one_call_of_flex_attention_gives_what_the_segments_give_under_a_mask(
    sequences, with_root: bool, window: int | None, scale: float | None
) -> None:
    forest = build_forest(paths_of(sequences))
    generator = torch.Generator().manual_seed(1)

    def heads(number: int, nodes: int) -> torch.Tensor:
        return torch.randn(1, number, nodes, 8, generator=generator)

    query, key, value = heads(4, forest.num_nodes), heads(2, forest.num_nodes), heads(2, forest.num_nodes)
    root = (heads(2, 5), heads(2, 5)) if with_root else None
    layout = ForestLayout(spans_S=spans_of(forest), longest_path=100)
    wanted = _masked(query, key, value, layout=layout, root=root, scale=scale, window=window)
    given_back = flex_forest(query, key, value, spans=layout.spans_S, root=root, scale=scale, window=window)
    torch.testing.assert_close(given_back, wanted, rtol=1e-5, atol=1e-6)


def test_a_row_longer_than_a_block_of_the_mask_is_seen_whole() -> None:
    long = [sequence([1, 2, *range(3, 150)], [9, 9]), sequence([1, 2, *range(4, 160)], [8])]
    forest = build_forest(paths_of(long))
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, 2, forest.num_nodes, 8, generator=generator) for _ in range(3))
    layout = ForestLayout(spans_S=spans_of(forest), longest_path=200)
    wanted = _masked(query, key, value, layout=layout, root=None, scale=None, window=None)
    given_back = flex_forest(query, key, value, spans=layout.spans_S, root=None, scale=None, window=None)
    torch.testing.assert_close(given_back, wanted, rtol=1e-5, atol=1e-6)


def test_flex_attention_still_has_no_backward_pass_on_a_cpu() -> None:
    query = torch.randn(1, 2, 4, 8, requires_grad=True)
    with pytest.raises(NotImplementedError, match="backward on CPU"):
        flex_forest(query, query, query, spans=[Segment(0, 4, 4)], root=None, scale=None, window=None)
