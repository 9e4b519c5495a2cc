"""The course of the loss, smoothed."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.events.loss_plot import moving_mean


@given(st.lists(st.floats(0, 100, allow_subnormal=False), max_size=90))
@settings(max_examples=40, deadline=None)
def test_each_point_is_the_mean_of_the_last_twentieth_of_the_run(losses: list[float]) -> None:
    window = max(1, len(losses) // 20)
    ends = range(1, len(losses) + 1)
    expected = [sum(losses[max(0, end - window) : end]) / min(end, window) for end in ends]
    smoothed = moving_mean(losses)
    assert len(smoothed) == len(losses)
    assert all(abs(found - wanted) < 1e-9 for found, wanted in zip(smoothed, expected, strict=True))


def test_a_falling_loss_falls_when_smoothed() -> None:
    smoothed = moving_mean([float(loss) for loss in range(100, 0, -1)])
    assert all(later < earlier for earlier, later in pairwise(smoothed))
