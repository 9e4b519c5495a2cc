import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import sequence
from tunelab.batching.forest import Forest, build_forest, paths_of
from tunelab.batching.redundancy import count_repeats
from tunelab.rendering.rendered import Rendered

TOKENS = st.integers(0, 2)
SEQUENCES = st.lists(
    st.builds(sequence, st.lists(TOKENS, max_size=5), st.lists(TOKENS, min_size=1, max_size=5)), min_size=1, max_size=8
)


def _sees(forest: Forest) -> np.ndarray:
    """Return who attends to whom by the subtree rule of the design."""
    nodes = np.arange(forest.num_nodes)
    return (nodes[None, :] <= nodes[:, None]) & (nodes[:, None] < forest.subtree_ends_N[None, :])


def _path(forest: Forest, node: int) -> tuple[int, ...]:
    return tuple(forest.token_ids_N[np.flatnonzero(_sees(forest)[node])].tolist())


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.integers(0, 2))
def test_each_shared_prefix_is_one_node_and_every_sequence_is_a_path(sequences: list[Rendered], virtual: int) -> None:
    forest = build_forest(paths_of(sequences, num_virtual_tokens=virtual))
    every_path = [_path(forest, node) for node in range(forest.num_nodes)]
    ids = [
        (*(-1 - np.arange(virtual)).tolist(), *each.prompt_ids.tolist(), *each.completion_ids.tolist())
        for each in sequences
    ]
    assert sorted(every_path) == sorted({full[: depth + 1] for full in ids for depth in range(len(full))})
    if virtual == 0:
        repeated = sum(count_repeats(sequences).values())
        assert forest.num_nodes == forest.num_real_tokens - repeated


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.booleans())
def test_a_segment_sees_its_ancestors_and_itself_as_the_subtree_rule_says(
    sequences: list[Rendered], share: bool
) -> None:
    forest = build_forest(paths_of(sequences, share=share), share=share)
    seen = np.zeros((forest.num_nodes, forest.num_nodes), dtype=bool)
    for start, end, subtree_end in forest.spans():
        seen[start:end, start:end] = np.tri(end - start, dtype=bool)
        seen[end:subtree_end, start:end] = True
    assert (seen == _sees(forest)).all()
    assert (seen.sum(axis=1) == forest.depths_N + 1).all()


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.booleans())
def test_no_trained_token_is_lost_or_trained_twice(sequences: list[Rendered], share: bool) -> None:
    forest = build_forest(paths_of(sequences, share=share), share=share)
    expected: dict[tuple[int, ...], int] = {}
    for each in sequences:
        full = (*each.prompt_ids.tolist(), *each.completion_ids.tolist())
        for place in range(max(1, len(each.prompt_ids)), len(full)):
            expected[full[: place + 1]] = expected.get(full[: place + 1], 0) + 1
    found: dict[tuple[int, ...], float] = {}
    for source, target, weight in zip(forest.sources_M, forest.targets_M, forest.weights_M, strict=True):
        key = (*_path(forest, source), int(target))
        found[key] = found.get(key, 0) + float(weight)
    assert found == expected
    assert forest.num_real_tokens == sum(each.num_tokens for each in sequences)


def test_the_forest_does_not_depend_on_the_order_of_its_sequences() -> None:
    sequences = [sequence([1, 2], [3, 4]), sequence([1, 2, 3], [5]), sequence([], [1]), sequence([1, 2], [3, 4])]
    one, other = build_forest(paths_of(sequences)), build_forest(paths_of(sequences[::-1]))
    assert one.token_ids_N.tolist() == other.token_ids_N.tolist()
    assert one.weights_M.tolist() == other.weights_M.tolist()
    assert max(one.weights_M) == 2  # equal sequences are one path, trained twice as much


def test_two_different_answers_to_one_prompt_are_both_trained() -> None:
    forest = build_forest(paths_of([sequence([1, 2], [3]), sequence([1, 2], [4])]))
    assert forest.num_nodes == 4
    assert forest.sources_M.tolist() == [1, 1]
    assert sorted(forest.targets_M.tolist()) == [3, 4]
