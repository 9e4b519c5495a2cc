"""The course of the loss, smoothed."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.events.loss_plot import moving_mean

LOSSES = st.lists(st.floats(0, 100, allow_subnormal=False), max_size=200)


@given(LOSSES)
@settings(max_examples=40, deadline=None)
def test_each_point_is_the_mean_of_a_fortieth_of_the_run_on_either_side(losses: list[float]) -> None:
    side = len(losses) // 40
    windows = [losses[max(0, place - side) : place + side + 1] for place in range(len(losses))]
    smoothed = moving_mean(losses)
    assert len(smoothed) == len(losses)
    assert smoothed == pytest.approx([sum(window) / len(window) for window in windows], abs=1e-9)


@given(LOSSES)
@settings(max_examples=40, deadline=None)
def test_the_mean_lags_behind_neither_way(losses: list[float]) -> None:
    assert moving_mean(losses[::-1]) == pytest.approx(moving_mean(losses)[::-1], abs=1e-9)


def test_a_falling_loss_falls_when_smoothed_and_stays_where_it_is() -> None:
    losses = [float(loss) for loss in range(100, 0, -1)]
    smoothed = moving_mean(losses)
    assert all(later < earlier for earlier, later in pairwise(smoothed))
    assert smoothed[2:-2] == losses[2:-2]
