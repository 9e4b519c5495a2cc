"""The micro-batches of a step: within their budget, nothing lost, the least repeated."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import sequence
from tunelab.batching.forest import build_forest, overlaps, paths_of
from tunelab.batching.redundancy import count_repeats
from tunelab.batching.step_plan import StepPlan, _cut, light_tokens, plan_step
from tunelab.rendering.rendered import Rendered

TOKENS = st.integers(1, 3)
STEPS = st.lists(
    st.builds(sequence, st.lists(TOKENS, min_size=1, max_size=8), st.lists(TOKENS, min_size=1, max_size=4)),
    min_size=1,
    max_size=8,
)


def _distinct(sequences: list[Rendered]) -> int:
    return sum(each.num_tokens for each in sequences) - sum(count_repeats(sequences).values())


def _trained_ids(plan: StepPlan) -> list[int]:
    return sorted(
        int(token)
        for forest in plan.forests
        for token, weight in zip(forest.targets_M, forest.weights_M, strict=True)
        for _ in range(int(weight))
    )


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 60), st.booleans())
def test_every_micro_batch_keeps_its_budget_and_no_trained_token_is_lost(
    sequences: list[Rendered], budget: int, share: bool
) -> None:
    plan = plan_step(sequences, micro_batch_tokens=budget, share=share, shortest_root=1)
    longest = max(each.num_tokens for each in sequences)
    assert all(forest.num_nodes <= max(budget, longest) for forest in plan.forests)
    assert plan.num_real_tokens == sum(each.num_tokens for each in sequences)
    assert _trained_ids(plan) == sorted(np.concatenate([each.completion_ids for each in sequences]).tolist())


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(4, 40))
def test_no_other_cut_within_the_budget_repeats_less(sequences: list[Rendered], budget: int) -> None:
    # no root: the sequences are too short for one
    plan = plan_step(sequences, micro_batch_tokens=budget, least_saved=0)
    order = sorted(sequences, key=lambda each: (*each.prompt_ids, *each.completion_ids))
    assert [tuple(path.ids) for path in paths_of(sequences)] == [
        (*each.prompt_ids, *each.completion_ids) for each in order
    ]
    best = min(
        sum(map(_distinct, pieces))
        for number in range(len(order))
        for cuts in combinations(range(1, len(order)), number)
        for pieces in [[order[start:end] for start, end in zip((0, *cuts), (*cuts, len(order)), strict=True)]]
        if all(len(piece) == 1 or _distinct(piece) <= budget for piece in pieces)
    )
    assert plan.num_nodes == best


def test_a_step_within_the_budget_is_one_forest_with_its_root_inside() -> None:
    trunk = list(range(1, 101))
    sequences = [sequence([*trunk, 101], [102]), sequence([*trunk, 103], [104])]
    plan = plan_step(sequences, micro_batch_tokens=104)
    assert len(plan.forests) == 1
    assert not len(plan.root_ids_R)
    assert plan.num_nodes == 104


def test_a_step_of_many_tokens_is_cut_where_next_to_nothing_is_repeated() -> None:
    trunk = list(range(1, 101))
    sessions = [[1000 * session + place for place in range(1, 900)] for session in range(1, 11)]
    calls = [sequence([*trunk, *own[:end]], [7]) for own in sessions for end in (300, 600, 899)]
    plan = plan_step(calls, micro_batch_tokens=16_384)
    assert max(forest.num_nodes for forest in plan.forests) <= 4_096
    assert len(plan.root_ids_R) == 100
    assert plan.num_nodes == _distinct(calls)


def test_a_session_is_not_cut_to_save_memory_at_the_price_of_running_it_twice() -> None:
    trunk = list(range(1, 6_001))
    plan = plan_step([sequence([*trunk, 7, end], [8]) for end in range(10)], micro_batch_tokens=16_384)
    assert len(plan.root_ids_R) == 6_001
    other = list(range(7_000, 13_000))
    both = [sequence([*ids, end], [8]) for ids in (trunk, other) for end in range(10)]
    plan = plan_step(both, micro_batch_tokens=16_384)
    assert [forest.num_nodes for forest in plan.forests] == [6_020, 6_020]


def test_a_root_runs_once_however_many_micro_batches_hang_below_it() -> None:
    trunk = list(range(1, 101))
    sequences = [sequence([*trunk, 100 + end], [end]) for end in range(1, 11)]
    plan = plan_step(sequences, micro_batch_tokens=2)
    assert len(plan.forests) == 10
    assert plan.root_ids_R.tolist() == trunk
    assert plan.num_nodes == 100 + 10 * 2
    assert all(forest.depths_N.tolist() == [100, 101] for forest in plan.forests)


def test_a_root_never_holds_what_predicts_a_trained_token() -> None:
    trunk = list(range(1, 101))
    sequences = [sequence(trunk, [200, 201]), sequence(trunk, [200, 202])]
    plan = plan_step(sequences, micro_batch_tokens=1)
    assert plan.root_ids_R.tolist() == trunk[:-1]
    assert all(0 in forest.sources_M for forest in plan.forests)


def test_sharing_that_saves_next_to_nothing_is_left() -> None:
    rows = [sequence([1, *range(start, start + 40)], [start]) for start in (100, 200, 300)]
    little = plan_step(rows, micro_batch_tokens=1000)
    assert little.num_nodes == little.num_real_tokens == 3 * 42
    more = [sequence([*range(1, 11), *range(start, start + 40)], [start]) for start in (100, 200, 300)]
    assert plan_step(more, micro_batch_tokens=1000).num_nodes == 10 + 3 * 41


def test_more_tokens_than_keep_a_processor_busy_are_cut_if_next_to_nothing_runs_twice() -> None:
    alone = [sequence(list(range(1000 * row, 1000 * row + 200)), [7]) for row in range(1, 9)]
    assert len(plan_step(alone, micro_batch_tokens=16_384).forests) == 1
    plan = plan_step(alone, micro_batch_tokens=16_384, light=512)
    assert [forest.num_nodes for forest in plan.forests] == [402, 402, 402, 402]
    shared = [sequence(list(range(3_000)), [row]) for row in range(1, 9)]
    assert plan_step(shared, micro_batch_tokens=16_384, light=512).num_nodes == 3_008


def test_a_large_base_is_kept_busy_by_fewer_tokens() -> None:
    small, large = (light_tokens(weights, on_gpu=False) for weights in (4_000_000, 135_000_000))
    assert (small, large) == (1_024, 512)
    assert light_tokens(135_000_000, on_gpu=True) == 4_096


def test_the_worked_example_of_the_cuts_is_what_they_are() -> None:
    a, b, c, d, e, x, q, r, s, t, u, z = range(12)
    texts = ([a, b, c, d, e], [a, b, c, x], [q, r, s, t, u], [q, r, z])
    paths = paths_of([sequence(text[:-1], text[-1:]) for text in texts])
    assert [path.ids.tolist() for path in paths] == [list(text) for text in texts]
    stretches = list(_cut(paths, overlaps(paths), 0, 7, 1_000))
    assert [len(each) for each in stretches] == [2, 2]
    assert [build_forest(each).num_nodes for each in stretches] == [6, 6]
    assert build_forest(paths[:3]).num_nodes == 11
