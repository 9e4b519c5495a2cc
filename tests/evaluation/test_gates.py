"""Gates: three outcomes, luck told, and many gates together."""

import numpy as np
import pytest
from pydantic import ValidationError

from tunelab.evaluation.figures.figure import mean_figure
from tunelab.evaluation.figures.measure import compare_figures, measure
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.judge import Evidence, judge
from tunelab.evaluation.statistics.calibration import calibration_error
from tunelab.evaluation.statistics.gaps import gap
from tunelab.evaluation.statistics.groups import mean_interval
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import wilson_interval

ACCURACY = mean_figure("accuracy", title="Accuracy", meaning="", better="higher", of=float, is_share=True)


def share(right: int, rows: int) -> Evidence:
    return Evidence(value=right / rows, interval=wilson_interval(right, rows), num_rows=rows, is_share=True)


def one(gate: GateConfig, evidence: Evidence, **options: bool):
    (verdict,) = judge([gate], [evidence], **options)
    return verdict


@pytest.mark.parametrize(("rows", "luck"), [(100, 0.23), (200, 0.12), (500, 0.02)])
def test_a_point_gate_says_how_often_a_model_three_points_below_passes(rows, luck):
    verdict = one(GateConfig(figure="accuracy", min=0.9), share(rows * 9 // 10, rows))
    assert (verdict.outcome, round(verdict.luck, 2)) == ("passes", luck)
    assert verdict.margin == pytest.approx(0)


def test_a_confident_gate_passes_fails_or_is_not_decided():
    gate = GateConfig(figure="accuracy", min=0.9, confident=True)
    assert one(gate, share(98, 100)).outcome == "passes"
    assert one(gate, share(70, 100)).outcome == "fails"
    undecided = one(gate, share(93, 100))
    assert undecided.outcome == "not decided"
    assert undecided.rows_needed == pytest.approx(100 * (0.0525 / 0.03) ** 2, rel=0.05)
    assert one(GateConfig(figure="accuracy", min=0.9), share(93, 100), confident=True).outcome == "not decided"
    assert (
        one(GateConfig(figure="accuracy", min=0.9, confident=False), share(93, 100), confident=True).outcome == "passes"
    )


@pytest.mark.parametrize(("right", "rows", "threshold"), [(18, 20, 0.98), (37, 40, 0.99), (9, 10, 0.99), (20, 20, 0.8)])
def test_a_single_gate_is_decided_by_its_interval_alone_however_lopsided(right, rows, threshold):
    evidence = share(right, rows)
    verdict = one(GateConfig(figure="accuracy", min=threshold, confident=True), evidence)
    assert verdict.outcome == ("passes" if evidence.interval.low >= threshold else "fails")
    assert verdict.rows_needed is None


def test_what_was_not_measured_is_not_decided_and_never_passes():
    nothing = Evidence(value=None, interval=None, num_rows=0, note="no row has a label")
    for gate in (GateConfig(figure="accuracy", min=0), GateConfig(figure="accuracy", against="base", margin=1)):
        verdict = one(gate, nothing)
        assert (verdict.outcome, verdict.reason) == ("not decided", "no row has a label")
    assert (
        one(GateConfig(figure="loss", max=9), Evidence(value=float("nan"), interval=None, num_rows=3)).outcome
        == "not decided"
    )


def test_a_comparison_is_judged_by_the_interval_of_the_difference():
    gate = GateConfig(figure="macro_f1", against="production", margin=0.01)

    def between(low: float, high: float, **more: bool) -> str:
        interval = Interval(low=low, high=high, method="")
        return one(gate, Evidence(value=(low + high) / 2, interval=interval, num_rows=100, **more)).outcome

    assert between(-0.005, 0.03) == "passes"
    assert between(-0.08, -0.02) == "fails"
    assert between(-0.03, 0.03) == "not decided"
    assert between(-0.08, -0.02, lower_is_better=True) == "passes"
    assert between(0.02, 0.08, lower_is_better=True) == "fails"


def test_an_error_within_luck_is_not_decided_and_beyond_it_fails():
    gate = GateConfig(figure="ece", max=0.1)
    for value, outcome in ((0.08, "passes"), (0.12, "not decided"), (0.2, "fails")):
        assert one(gate, Evidence(value=value, interval=None, num_rows=100, by_luck=0.13, p=0.001)).outcome == outcome


def test_of_twenty_gates_one_that_fails_barely_is_luck():
    gate = GateConfig(figure="accuracy", against="base")
    barely = Evidence(value=-0.05, interval=Interval(low=-0.099, high=-0.001, method=""), num_rows=100)
    open_ones = [GateConfig(figure="ece", max=0.1)] * 19
    nearly = [Evidence(value=0.2, interval=None, num_rows=100, by_luck=0.19, p=0.04)] * 19
    assert one(gate, barely).outcome == "fails"
    verdicts = judge([gate, *open_ones], [barely, *nearly])
    assert {verdict.outcome for verdict in verdicts} == {"not decided"}
    assert "one of 20 gates does so by luck" in verdicts[0].reason
    worse = [*nearly[:-1], Evidence(value=0.9, interval=None, num_rows=100, by_luck=0.19, p=0.0005)]
    assert judge(open_ones, worse)[-1].outcome == "fails"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "no threshold"),
        ({"min": 0.9, "max": 0.1}, "nothing passes"),
        ({"min": 0.9, "against": "base"}, "take one of the two"),
        ({"min": 0.9, "margin": 0.1}, "no other model"),
        ({"min": 0.9, "treshold": 1}, "treshold"),
        ({"min": True}, "number"),
        ({"min": "0.9"}, "number"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(wrong, words):
    with pytest.raises(ValidationError, match=words):
        GateConfig(figure="accuracy", **wrong)


def test_a_gate_in_words():
    assert GateConfig(figure="f1", min=0.9, max=0.95).describe() == "f1 at least 0.9 and at most 0.95"
    assert GateConfig(figure="f1", against="base", margin=0.01).describe() == "f1 not worse than base by more than 0.01"


def test_figures_of_two_models_come_from_the_same_resamples():
    groups = [str(row // 4) for row in range(200)]
    draws = np.random.default_rng(0)
    rows, little = draws.random(200), draws.random(200) / 1000
    mean = mean_figure("mean", title="", meaning="", better="higher", of=float)
    (change,) = compare_figures([mean], rows.tolist(), (rows + 0.25 + little).tolist(), groups, seed=1)
    assert change.value == pytest.approx(0.25, abs=0.001)
    assert 0 < change.interval.high - change.interval.low < 0.001
    (same,) = compare_figures([mean], rows.tolist(), (rows + 0.25).tolist(), groups, seed=1)
    assert same.interval is None  # a difference that every row has is no certainty
    assert change.before.interval.high - change.before.interval.low > 0.05


@pytest.mark.parametrize("num_groups", [10, 20, 40])
def test_the_interval_of_a_figure_is_that_of_a_mean_if_it_is_one(num_groups):
    draws, mean = np.random.default_rng(0), mean_figure("mean", title="", meaning="", better="higher", of=float)
    groups = [str(row // 5) for row in range(5 * num_groups)]
    rows = np.repeat(draws.normal(size=num_groups), 5) + draws.normal(size=5 * num_groups)
    (measured,) = measure([mean], rows.tolist(), groups, seed=1)
    expected = mean_interval(rows.tolist(), groups, seed=1)
    assert measured.interval.method == expected.method
    assert measured.interval.low == pytest.approx(expected.low, abs=0.02)
    assert measured.interval.high == pytest.approx(expected.high, abs=0.02)


def test_rows_without_a_number_are_not_measured():
    some = mean_figure("some", title="", meaning="", better="", of=lambda row: row)
    (measured,) = measure([some], [None, 1.0, 3.0], ["a", "b", "c"], seed=0)
    assert (measured.value, measured.interval) == (2.0, None)
    assert [each.value for each in measure([some], [None], ["a"], seed=0)] == [None]
    assert [each.value for each in measure([some], [], [], seed=0)] == [None]
    (change,) = compare_figures([some], [], [], [], seed=0)
    assert change.value is change.p is None


def test_independent_shares_get_wilson_and_tango():
    before, after = [1, 1, 0, 0] * 5, [1, 1, 1, 0] * 5
    (change,) = compare_figures([ACCURACY], before, after, [str(row) for row in range(20)], seed=0)
    assert change.before.interval.method == "Wilson"
    assert change.interval.method == "Tango"
    assert change.p == pytest.approx(2 * 0.5**5 - 0.5**5)


def _evidence_of_an_unchanged_model(draws, num_rows=200):
    languages = [f"l{row % 4}" for row in range(num_rows)]
    rows = [str(row) for row in range(num_rows)]
    confidence = draws.uniform(0.5, 1, num_rows)
    before, after = (draws.random(num_rows) < confidence for _ in range(2))
    (change,) = compare_figures([ACCURACY], before.tolist(), after.tolist(), rows, seed=0)
    error = calibration_error(confidence, after, seed=0)
    bias = gap(draws.random(num_rows) < 0.9, languages, rows, seed=0)
    return [
        Evidence(value=change.value, interval=change.interval, num_rows=num_rows),
        Evidence(value=error.value, interval=None, num_rows=num_rows, by_luck=error.by_luck, p=error.p),
        Evidence(value=bias.value, interval=None, num_rows=num_rows, by_luck=bias.by_luck, p=bias.p),
    ]


def unchanged_models_that_fail(num_models: int, *, seed: int) -> int:
    """Return how many of so many unchanged, calibrated and fair models fail at least one of three gates."""
    gates = [
        GateConfig(figure="accuracy", against="production"),
        GateConfig(figure="ece", max=0.05),
        GateConfig(figure="bias_gap", by="language", max=0.05),
    ]
    draws = np.random.default_rng(seed)
    return sum(
        any(verdict.outcome == "fails" for verdict in judge(gates, _evidence_of_an_unchanged_model(draws)))
        for _ in range(num_models)
    )


def test_unchanged_models_seldom_fail_any_gate():
    assert unchanged_models_that_fail(12, seed=0) <= 2


@pytest.mark.slow
def test_of_a_thousand_unchanged_models_at_most_fifty_fail_any_gate():
    assert unchanged_models_that_fail(1000, seed=1) <= 50
