"""Intervals, tests, power and calibration against published values and against simulations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.evaluation.statistics.calibration import (
    brier_parts,
    calibration_error,
    isotonic,
    reliability,
    temperature,
)
from tunelab.evaluation.statistics.distributions import binomial, binomial_at_most, normal_quantile, student_quantile
from tunelab.evaluation.statistics.f1_sums import class_f1, confusion, label_sums, macro_f1, weighted_f1
from tunelab.evaluation.statistics.gaps import gap
from tunelab.evaluation.statistics.groups import (
    cluster_standard_error,
    group_sums,
    intraclass_correlation,
    mean_interval,
    mean_of_sums,
    resampled_interval,
    resampled_sums,
)
from tunelab.evaluation.statistics.kappa import cohen_kappa
from tunelab.evaluation.statistics.power import design_effect, difference_shown, rows_needed
from tunelab.evaluation.statistics.proportions import mcnemar_mid_p, tango_interval, wilson_interval
from tunelab.evaluation.statistics.quantiles import quantile, ranks_around
from tunelab.evaluation.statistics.several import benjamini_hochberg, holm


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_values_that_newcombe_published(successes, trials, low, high):
    interval = wilson_interval(successes, trials)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    turned = wilson_interval(trials - successes, trials)
    assert turned.low == pytest.approx(1 - interval.high)
    assert turned.high == pytest.approx(1 - interval.low)


def test_no_trials_give_no_interval():
    assert wilson_interval(0, 0) is None
    assert tango_interval(0, 0, 0) is None


@pytest.mark.parametrize(("first", "second", "p"), [(6, 16, 0.0347), (1, 7, 0.0391), (0, 0, 1.0), (5, 5, 1.0)])
def test_mcnemars_mid_p(first, second, p):
    assert round(mcnemar_mid_p(first, second), 4) == p
    assert mcnemar_mid_p(second, first) == mcnemar_mid_p(first, second)


def test_tangos_interval_of_the_airway_data():
    interval = tango_interval(1, 7, 21)
    assert (round(interval.low, 3), round(interval.high, 3)) == (-0.517, -0.026)


def test_equal_rows_give_no_certainty():
    same = tango_interval(0, 0, 12)
    assert (round(same.low, 2), round(same.high, 2)) == (-0.24, 0.24)
    better = tango_interval(12, 0, 12)
    assert round(better.low, 3) == 0.515
    assert better.high == 1


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_tangos_interval_holds_what_was_seen_and_turns_with_the_models(first, second, same):
    rows = first + second + same
    if not rows:
        return
    interval, turned = tango_interval(first, second, rows), tango_interval(second, first, rows)
    assert -1 <= interval.low <= (first - second) / rows <= interval.high <= 1
    assert interval.low < interval.high
    assert turned.low == pytest.approx(-interval.high, abs=1e-9)


@pytest.mark.parametrize(
    ("degrees", "quantile_975"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (9, 2.2622), (29, 2.0452), (100, 1.9840)]
)
def test_students_quantiles_are_those_of_the_tables(degrees, quantile_975):
    assert round(student_quantile(0.975, degrees), 4) == quantile_975
    assert student_quantile(0.025, degrees) == -student_quantile(0.975, degrees)
    assert student_quantile(0.5, degrees) == 0


def test_students_quantile_approaches_the_normal_one():
    assert student_quantile(0.9, 5000) == pytest.approx(normal_quantile(0.9), abs=1e-3)


@given(st.integers(0, 60), st.floats(0, 1, allow_subnormal=False))
def test_binomial_chances_add_up(trials, probability):
    assert math.fsum(binomial(each, trials, probability) for each in range(trials + 1)) == pytest.approx(1)
    assert binomial_at_most(trials, trials, probability) == 1
    assert binomial_at_most(-1, trials, probability) == 0


def test_resamples_of_groups_have_the_mean_and_spread_of_the_bootstrap():
    values_G = np.random.default_rng(1).normal(size=200)
    sums_GF = np.column_stack([values_G, np.ones(200)])
    means_B = mean_of_sums(resampled_sums(sums_GF, seed=2))
    assert means_B.mean() == pytest.approx(values_G.mean(), abs=0.005)
    assert means_B.std() == pytest.approx(values_G.std() / math.sqrt(200), rel=0.03)


def test_resamples_are_the_same_for_a_seed_and_hold_every_column_to_the_same_draws():
    sums_GF = np.random.default_rng(1).normal(size=(70_000, 2))
    sums_GF[:, 1] = 2 * sums_GF[:, 0]
    first = resampled_sums(sums_GF, seed=3, num_resamples=20)
    assert np.array_equal(first, resampled_sums(sums_GF, seed=3, num_resamples=20))
    assert not np.array_equal(first, resampled_sums(sums_GF, seed=4, num_resamples=20))
    assert np.allclose(first[:, 1], 2 * first[:, 0])


def test_fewer_than_ten_groups_have_no_interval():
    assert mean_interval([1.0] * 18, [str(row // 2) for row in range(18)], seed=1) is None
    assert resampled_interval(np.ones((9, 2)), mean_of_sums, seed=1) is None


def test_a_figure_without_a_value_has_no_interval():
    assert resampled_interval(np.zeros((12, 2)), lambda sums: sums[..., 0] * np.nan, seed=1) is None


def test_below_thirty_groups_students_t_takes_over():
    values = list(np.random.default_rng(0).normal(size=40))
    few = mean_interval(values, [str(row % 20) for row in range(40)], seed=1)
    many = mean_interval(values, [str(row) for row in range(40)], seed=1)
    assert few.method == "Student's t over 20 groups"
    assert many.method == "10,000 resamples of 40 groups"


def test_the_cluster_error_equals_the_sandwich_of_a_regression_on_a_constant():
    values, groups = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), ["a", "a", "b", "b", "c"]
    residuals = values - values.mean()
    sums = [residuals[:2].sum(), residuals[2:4].sum(), residuals[4]]
    assert cluster_standard_error(values, groups) == pytest.approx(math.sqrt(sum(s**2 for s in sums)) / 5)


def test_rows_of_one_group_do_not_count_as_independent():
    per_group = np.random.default_rng(1).normal(0, 1, size=30)
    repeated = np.repeat(per_group, 20).tolist()
    alone = mean_interval(per_group.tolist(), [str(group) for group in range(30)], seed=3)
    together = mean_interval(repeated, [str(group) for group in np.repeat(range(30), 20)], seed=3)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    wrongly = mean_interval(repeated, [str(row) for row in range(600)], seed=3)
    assert wrongly.high - wrongly.low < 0.5 * (alone.high - alone.low)


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_intervals_over_sessions_hold_the_truth_as_often_as_they_say(correlation):
    draws = np.random.default_rng(5)
    groups = [str(session) for session in range(30) for _ in range(14)]
    held = 0
    for trial in range(200):
        shared_G = draws.normal(size=30) * math.sqrt(correlation)
        rows = np.repeat(shared_G, 14) + draws.normal(size=420) * math.sqrt(1 - correlation)
        sums_GF = group_sums(np.column_stack([rows, np.ones(420)]), groups)
        interval = resampled_interval(sums_GF, mean_of_sums, seed=trial, num_resamples=1000)
        held += interval.holds(0.0)
    assert held / 200 >= 0.88  # 95 % less three standard errors of 200 trials, and the percentiles' own 2 points


def test_the_resemblance_of_rows_in_sessions_is_found():
    draws = np.random.default_rng(0)
    groups = [str(session) for session in range(400) for _ in range(5)]
    rows = np.repeat(draws.normal(size=400) * math.sqrt(0.3), 5) + draws.normal(size=2000) * math.sqrt(0.7)
    assert intraclass_correlation(rows, groups) == pytest.approx(0.3, abs=0.05)
    assert intraclass_correlation(draws.normal(size=2000), groups) == pytest.approx(0, abs=0.05)
    assert intraclass_correlation([1.0, 2.0], ["a", "b"]) is None
    assert design_effect(5, 0.3) == pytest.approx(2.2)


BENJAMINI_HOCHBERG_1995 = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
]


def test_holm_and_benjamini_hochberg_on_their_own_example():
    assert sum(p <= 0.05 for p in holm(BENJAMINI_HOCHBERG_1995)) == 3
    assert sum(p <= 0.05 for p in benjamini_hochberg(BENJAMINI_HOCHBERG_1995)) == 4


@given(st.lists(st.floats(0, 1, allow_subnormal=False), max_size=12))
def test_adjusted_p_values_keep_the_order_and_are_no_smaller(p_values):
    for adjusted in (holm(p_values), benjamini_hochberg(p_values)):
        assert all(before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True))
        ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
        assert [adjusted[index] for index in ranked] == sorted(adjusted)


def test_rows_needed_and_differences_shown():
    assert rows_needed(0.03) == 1742
    assert rows_needed(0.4, flips=0.5) == 23  # Connor 1987
    assert [round(difference_shown(200, flips=flips), 3) for flips in (0.1, 0.2, 0.3)] == [0.062, 0.088, 0.108]
    assert difference_shown(3) is None
    assert rows_needed(0.03, design=2) == pytest.approx(2 * 1742, abs=2)


@given(st.integers(20, 5000), st.floats(0.02, 0.6), st.floats(1, 5))
def test_what_rows_show_is_what_needs_so_many_rows(rows, flips, design):
    shown = difference_shown(rows, flips=flips, design=design)
    if shown is not None:
        assert rows_needed(shown, flips=flips, design=design) == pytest.approx(rows, abs=1 + design)


def test_ranks_around_a_95th_percentile():
    assert ranks_around(100, 0.95) == (90, 100)
    assert ranks_around(200, 0.95) == (184, 197)
    assert ranks_around(50, 0.95) is None
    assert quantile([1.0] * 71, 0.95) is None
    found = quantile([float(each) for each in range(1, 101)], 0.95)
    assert (found.value, found.interval.low, found.interval.high) == (95, 90, 100)


def test_a_calibrated_model_fails_by_its_error_and_not_by_its_null():
    draws = np.random.default_rng(0)
    errors, rejected = [], 0
    for trial in range(60):
        confidence = draws.uniform(0.5, 1, 100)
        found = calibration_error(confidence, draws.random(100) < confidence, seed=trial)
        errors.append(found.value)
        rejected += found.p < 0.05
    assert np.mean(errors) == pytest.approx(0.088, abs=0.008)
    assert rejected <= 9  # three standard errors above 5 % of 60


def test_a_miscalibrated_model_is_found():
    right = np.arange(200) % 10 > 0
    found = calibration_error([0.99] * 200, right, seed=0)
    assert found.value == pytest.approx(0.09)
    assert found.value > found.by_luck
    assert found.p < 0.01


def test_no_rows_have_no_calibration():
    assert calibration_error([], [], seed=0) is None
    assert brier_parts([], []) is None
    assert reliability([], []) == []


def test_a_row_on_the_edge_of_a_bin_belongs_to_the_lower_one():
    bins = reliability([0.0, 0.2, 0.2000001, 1.0], [True, True, False, True], num_bins=5)
    assert [(each.low, each.num_rows) for each in bins] == [(0.0, 2), (0.2, 1), (0.8, 1)]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_isotonic_regression_rises_keeps_the_mean_and_the_brier_parts_add_up(rows):
    confidence = np.array([each / 20 for each, _ in rows])
    right = np.array([float(each) for _, each in rows])
    fitted = isotonic(confidence, right)
    ranked = fitted[np.argsort(confidence, kind="stable")]
    assert (np.diff(ranked) >= -1e-12).all()
    assert fitted.mean() == pytest.approx(right.mean())
    parts = brier_parts(confidence, right)
    assert parts.score == pytest.approx(parts.miscalibration - parts.discrimination + parts.uncertainty)
    assert parts.miscalibration >= -1e-12
    assert parts.discrimination >= -1e-12


def test_isotonic_regression_pools_what_falls():
    fitted = isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert fitted.tolist() == [0, 0.5, 0.5, 1]


def test_the_temperature_of_scaled_logits_is_their_scale():
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(4000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = [int(draws.choice(5, p=row)) for row in chances]
    assert temperature(3 * logits, right) == pytest.approx(3, rel=0.1)


def test_a_gap_of_fair_groups_is_not_called_one():
    draws = np.random.default_rng(0)
    groups = [f"g{row % 5}" for row in range(250)]
    sessions = [str(row) for row in range(250)]
    found = [gap(draws.random(250) < 0.9, groups, sessions, seed=trial) for trial in range(10)]
    assert sum(each.value > 0.05 for each in found) > 6  # which by itself would fail nine of ten
    assert sum(each.p < 0.05 for each in found) <= 2


def test_a_gap_that_is_there_is_found_and_small_groups_are_named():
    groups = ["en"] * 100 + ["pt"] * 100 + ["fr"] * 9
    right = [row % 20 > 0 for row in range(100)] + [row % 10 > 2 for row in range(100)] + [False] * 9
    found = gap(right, groups, [str(row) for row in range(209)], seed=0)
    assert found.value == pytest.approx(0.25)
    assert found.p < 0.001
    assert [each.name for each in found.groups] == ["en", "pt"]
    assert [(each.name, each.num_rows) for each in found.too_small] == [("fr", 9)]
    assert gap(right[-9:], groups[-9:], list("abcdefghi"), seed=0) is None


def test_names_of_groups_are_permuted_within_sessions_and_among_whole_ones():
    """Ten sessions that are wholly right or wrong: the names of single rows would make luck look small."""
    sessions = [str(row // 20) for row in range(200)]
    groups = ["a" if row < 100 else "b" for row in range(200)]
    right = [row // 20 in (0, 1, 2, 5) for row in range(200)]
    whole = gap(right, groups, sessions, seed=0)
    alone = gap(right, groups, [str(row) for row in range(200)], seed=0)
    assert whole.value == alone.value == pytest.approx(0.4)
    assert alone.p < 0.001
    assert whole.p > 0.1
    assert whole.groups[0].interval is None
    assert alone.groups[0].interval is not None
    mixed = gap(right, ["a" if row % 2 else "b" for row in range(200)], sessions, seed=0)
    assert mixed.value == 0
    assert mixed.p == 1


def test_f1_of_labels_counts_an_answer_that_is_no_label():
    labels = ["low", "high", "never"]
    sums = label_sums(["low", "high", "?", "low"], ["low", "low", "high", "low"], labels).sum(axis=0)
    assert sums[:3].sum() / sums[-1] == 0.5
    assert class_f1(sums).tolist() == [pytest.approx(0.8), 0, 0]
    assert macro_f1(sums) == pytest.approx(0.8 / 3)
    assert weighted_f1(sums) == pytest.approx(0.6)
    counts = confusion(["low", "high", "?", "low"], ["low", "low", "high", "low"], labels)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_kappa_of_chance_and_of_agreement():
    assert cohen_kappa([1, 2, 3, 4], [1, 2, 3, 4], is_ordered=True) == 1
    assert cohen_kappa([1, 1, 2, 2], [1, 2, 1, 2]) == 0
    assert cohen_kappa([1, 1], [1, 1]) is None
    near, far = ([1, 2, 3, 4, 5], [2, 2, 3, 4, 4]), ([1, 2, 3, 4, 5], [5, 2, 3, 4, 1])
    assert cohen_kappa(*near, is_ordered=True) > cohen_kappa(*far, is_ordered=True)
