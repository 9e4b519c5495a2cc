import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import sequence
from tunelab.batching.config import BatchingConfig
from tunelab.batching.schedule import Schedule, evaluation_batches
from tunelab.rendering.rendered import Rendered


def _data(sizes: list[int], *, turns: int = 1, per_session: int = 1) -> list[Rendered]:
    return [
        sequence([1] * size, [2] * (turn + 1), conversation=number, group=f"session {number // per_session}")
        for number, size in enumerate(sizes)
        for turn in range(turns)
    ]


def _schedule(data: list[Rendered], *, varied: bool = True, order: str = "grouped", **changes: object) -> Schedule:
    settings_ = {"batch_size": 2, "accumulation": 1, "max_length": 32, "num_epochs": 1.0, "num_steps": None, "seed": 1}
    config = BatchingConfig(varied_seqlen=varied, order=order)  # type: ignore[arg-type]
    return Schedule(data, config, **(settings_ | changes))  # type: ignore[arg-type]


def _all(schedule: Schedule) -> list[int]:
    steps = [schedule.step(index) for index in range(schedule.total_steps)]
    return [index for step in steps for batch in step.batches for index in batch]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from(["grouped", "shuffled"]),
    st.integers(1, 4),
)
def test_an_epoch_trains_every_sequence_once(
    sizes: list[int], turns: int, varied: bool, order: str, accumulation: int
) -> None:
    data = _data(sizes, turns=turns, per_session=2)
    schedule = _schedule(data, varied=varied, order=order, accumulation=accumulation)
    assert Counter(_all(schedule)) == Counter(range(len(data)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_a_filled_row_never_exceeds_its_length(sizes: list[int]) -> None:
    data = _data(sizes)
    schedule = _schedule(data, varied=False, batch_size=1)
    for index in range(schedule.total_steps):
        (batch,) = schedule.step(index).batches
        assert sum(data[each].num_tokens for each in batch) <= 32


def test_filled_rows_hold_99_percent_real_tokens() -> None:
    data = _data([3 + number * 7 % 61 for number in range(2000)])
    schedule = _schedule(data, varied=False, batch_size=1, max_length=128)
    assert sum(each.num_tokens for each in data) / (schedule.total_steps * 128) > 0.99


def test_any_step_can_be_computed_without_the_ones_before() -> None:
    data = _data(list(range(1, 24)))
    one, other = _schedule(data, num_epochs=3.0), _schedule(data, num_epochs=3.0)
    last = one.total_steps - 1
    straight = [one.step(index) for index in range(one.total_steps)]
    assert other.step(last) == straight[last]
    assert other.step(0) == straight[0]


def test_epochs_and_seeds_change_the_order_and_nothing_else_does() -> None:
    data = _data(list(range(1, 24)))
    two = _all(_schedule(data, num_epochs=2.0))
    assert two[:23] != two[23:]
    assert _all(_schedule(data)) == two[:23]
    assert _all(_schedule(data, seed=2)) != two[:23]


@pytest.mark.parametrize(("epochs", "steps"), [(0.25, 3), (0.5, 5), (1.0, 10), (2.5, 25)])
def test_a_fraction_of_an_epoch_is_a_fraction_of_its_steps(epochs: float, steps: int) -> None:
    assert _schedule(_data([5] * 20), num_epochs=epochs).total_steps == steps


def test_num_training_steps_overrules_epochs_and_goes_round_the_data() -> None:
    schedule = _schedule(_data([5] * 4), num_steps=7)
    assert schedule.total_steps == 7
    assert schedule.step(6).epoch == pytest.approx(3.5)


def test_turns_of_a_conversation_and_rows_of_a_session_stay_together_when_grouped() -> None:
    data = _data([5] * 12, turns=3, per_session=2)
    schedule = _schedule(data)
    for index in range(schedule.total_steps):
        (batch,) = schedule.step(index).batches
        assert len({data[each].group for each in batch}) == 1
    shuffled = _schedule(data, order="shuffled")
    groups = [{data[each].group for each in shuffled.step(index).batches[0]} for index in range(6)]
    assert any(len(group) == 2 for group in groups)


def test_each_piece_of_a_long_text_is_an_example_of_its_own() -> None:
    text = [dataclasses.replace(each, turn=-1, conversation=0) for each in _data([5] * 6)]
    assert _schedule(text).total_steps == 3
    chat = [dataclasses.replace(each, conversation=0) for each in _data([5] * 6)]
    assert _schedule(chat).total_steps == 1


def test_evaluation_keeps_the_order_of_the_data() -> None:
    data = _data([5] * 5)
    config = BatchingConfig(order="shuffled")
    assert evaluation_batches(data, config, batch_size=2, max_length=32) == [(0, 1), (2, 3), (4,)]
