"""Where repeated tokens come from."""

from networks import sequence
from tunelab.batching.redundancy import count_repeats


def test_each_repeated_token_is_told_by_what_its_two_sequences_have_in_common() -> None:
    sequences = [
        sequence([1, 2, 3], [4], conversation=0, group="a"),
        sequence([1, 2, 3, 4, 5], [6], conversation=0, group="a"),  # 1 2 begin every sequence, 3 4 are the turn before
        sequence([1, 2, 3, 4, 5, 9], [6], conversation=1, group="a"),  # 3 4 5 of another row of the session
        sequence([1, 2, 7, 7], [8], conversation=2, group="b"),
        sequence([1, 2, 7, 7], [9], conversation=3, group="c"),  # 7 7 of a row that merely begins alike
    ]
    assert count_repeats(sequences) == {
        "the common beginning": 8,
        "earlier turns of the conversation": 2,
        "other rows of the session": 3,
        "rows that begin alike": 2,
    }


def test_nothing_repeats_in_one_sequence_and_in_none() -> None:
    assert not any(count_repeats([]).values())
    assert not any(count_repeats([sequence([1, 1, 1], [1])]).values())
