"""A step split over processes: nothing lost, nothing twice, work as even as whole sequences allow."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from networks import sequence
from tunelab.batching.redundancy import count_repeats
from tunelab.batching.split_over_ranks import split_over_ranks
from tunelab.rendering.rendered import Rendered

tokens = st.lists(st.integers(1, 3), min_size=1, max_size=6)
steps = st.lists(st.builds(sequence, tokens, tokens), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 5), st.booleans())
def test_every_sequence_goes_to_one_process(sequences: list[Rendered], size: int, share: bool) -> None:
    parts = split_over_ranks(sequences, size, share=share)
    assert len(parts) == size
    assert sorted(id(each) for part in parts for each in part) == sorted(map(id, sequences))


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(2, 4))
def test_no_other_cut_of_the_same_order_gives_the_busiest_process_less(sequences: list[Rendered], size: int) -> None:
    parts = split_over_ranks(sequences, size)
    order = [each for part in parts for each in part]
    cuts = combinations(range(1, len(order)), min(size, len(order)) - 1)
    others = [[order[start:end] for start, end in zip((0, *cut), (*cut, len(order)), strict=True)] for cut in cuts]
    assert _busiest(parts) == min(map(_busiest, others))


def test_a_session_stays_in_one_process() -> None:
    trunks = [[1] * 30, [2] * 30]
    sequences = [sequence([*trunks[turn % 2], 5 + turn], [3]) for turn in range(8)]
    for part in split_over_ranks(sequences, 2):
        assert len({int(each.prompt_ids[0]) for each in part}) == 1


def _busiest(parts: list[list[Rendered]]) -> int:
    return max(sum(each.num_tokens for each in part) - sum(count_repeats(part).values()) for part in parts)
