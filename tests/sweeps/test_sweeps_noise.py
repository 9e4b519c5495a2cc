"""The best of many trials is said to be better only if that is more than rows and seeds would do by chance."""

from __future__ import annotations

import numpy as np
import pytest

from tunelab.sweeps.curve import LossCurve, hopeless
from tunelab.sweeps.noise import GroupLosses, Noise, compared


def runs(draws: np.random.Generator, *, mean: float, groups: np.ndarray, num_seeds: int) -> list[GroupLosses]:
    """Losses of runs whose seeds and rows have luck of their own."""
    found = []
    for _ in range(num_seeds):
        luck = draws.normal(0, 0.02)
        own = draws.normal(0, 0.05, len(groups))
        losses = mean + luck + groups + own
        found.append({f"g{n}": (float(loss) * 7, 7.0) for n, loss in enumerate(losses)})
    return found


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_two_equal_settings_are_told_apart_in_no_more_than_one_of_twenty_cases(num_seeds: int) -> None:
    draws = np.random.default_rng(1)
    told_apart = 0
    for _ in range(400):
        groups = draws.normal(0, 0.5, 30)
        one, other = (runs(draws, mean=1.0, groups=groups, num_seeds=num_seeds) for _ in range(2))
        found = compared(one, other)
        assert found is not None
        told_apart += not found.low <= 0 <= found.high
    assert told_apart <= 0.05 * 400 + 10


def test_a_real_difference_beats_the_noise() -> None:
    draws = np.random.default_rng(2)
    groups = draws.normal(0, 0.5, 30)
    found = compared(
        runs(draws, mean=1.0, groups=groups, num_seeds=3), runs(draws, mean=0.8, groups=groups, num_seeds=3)
    )
    assert found is not None
    assert found.beats_noise
    assert found.difference == pytest.approx(-0.2, abs=0.06)
    assert found.low < found.difference < found.high < 0
    assert "On 30 conversations that no trial saw, over 3 seeds" in found.describe()


def test_one_seed_shows_no_noise_and_nine_conversations_give_no_figure() -> None:
    draws = np.random.default_rng(3)
    groups = draws.normal(0, 0.5, 30)
    one = compared(runs(draws, mean=1.0, groups=groups, num_seeds=1), runs(draws, mean=0.2, groups=groups, num_seeds=1))
    assert one is not None
    assert one.high < 0
    assert not one.beats_noise
    assert compared(*(runs(draws, mean=1.0, groups=groups[:9], num_seeds=2) for _ in range(2))) is None


def test_the_difference_is_per_token_not_per_conversation() -> None:
    before = {f"g{n}": (1.0, 1.0) for n in range(9)} | {"long": (300.0, 100.0)}
    after = {f"g{n}": (1.0, 1.0) for n in range(9)} | {"long": (200.0, 100.0)}
    found = compared([before, before], [after, after])
    assert found is not None
    assert found.difference == pytest.approx(-100 / 109)


def test_equal_runs_have_no_difference_and_no_spread() -> None:
    same = {f"g{n}": (float(n), 2.0) for n in range(12)}
    found = compared([same, same], [same, same])
    assert found is not None
    assert (found.low, found.high, found.beats_noise) == (0.0, 0.0, False)


def test_noise_of_one_seed_is_unknown() -> None:
    assert Noise(losses=(1.5,)).sd is None
    assert "how much luck is in it is unknown" in Noise(losses=(1.5,)).describe()
    assert Noise(losses=(1.0, 2.0)).describe() == "1.5000 (standard deviation 0.7071 over 2 seeds)"


def curve(*losses: float, every: int = 10) -> LossCurve:
    return LossCurve.of({(n + 1) * every: loss for n, loss in enumerate(losses)}, total_steps=100, keeps_best=True)


def test_a_run_is_compared_where_it_first_comes_after_a_ninth_and_a_third() -> None:
    assert curve(*[1.0] * 10).rungs() == {0: (0.2, 1.0), 1: (0.4, 1.0)}
    assert curve(1.0, 1.0, every=50).rungs() == {1: (0.5, 1.0)}
    assert curve(1.0, every=100).rungs() == {}


def test_one_of_three_goes_on_and_none_stops_before_there_are_three() -> None:
    good, fair, bad = curve(3, 1.0, 1.0), curve(3, 2.0, 2.0), curve(3, 2.5, 2.5)
    assert hopeless(fair, [good]) is None
    pruning = hopeless(bad, [good, fair])
    assert pruning is not None
    assert (pruning.share, pruning.reason) == (0.2, "place 3 of 3 at 20% of the run")
    assert hopeless(good, [fair, bad]) is None
    assert hopeless(fair, [good, bad]) is not None
    assert hopeless(curve(1.0), [good, fair, bad]) is None


def test_a_run_that_was_stopped_counts_only_where_it_came() -> None:
    stopped = curve(3, 1.0, 1.0, 0.1, 0.1).until(0.2)
    assert set(stopped.rungs()) == {0}


def test_a_run_is_judged_by_the_weights_that_it_would_keep() -> None:
    losses = {10: 2.0, 20: 1.0, 30: 3.0}
    assert [loss for _, loss in LossCurve.of(losses, total_steps=30, keeps_best=True).points] == [2.0, 1.0, 1.0]
    assert [loss for _, loss in LossCurve.of(losses, total_steps=30, keeps_best=False).points] == [2.0, 1.0, 3.0]
