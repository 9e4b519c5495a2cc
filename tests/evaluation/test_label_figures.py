"""Figures of labels: equal to scikit-learn's, and an answer that is no label is wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluated_rows import evaluated, groups_of
from tunelab.evaluation.figures.figures_of import first_figure, rightness
from tunelab.evaluation.figures.label_figures import label_figures
from tunelab.evaluation.figures.measure import measure
from tunelab.evaluation.label_calibration import calibration_of, confusion_of

LABELS = ("low", "high", "high risk")


def _values(rows):
    return {each.name: each.value for each in measure(label_figures(LABELS), rows, groups_of(rows), seed=0)}


def _rows(answers, truths):
    pairs = zip(answers, truths, strict=True)
    return [evaluated(answer, truth, number=n, label=truth) for n, (answer, truth) in enumerate(pairs)]


def test_labels_are_judged_as_scikit_learn_does():
    answers = ["low", "High.", "high risk", "perhaps", "low", "high risk"]
    truths = ["low", "high", "high", "high", "high risk", "high risk"]
    values = _values(_rows(answers, truths))
    # f1_score(truths, answers, labels=LABELS, average=…, zero_division=0), "perhaps" being outside the labels
    assert values["accuracy"] == pytest.approx(3 / 6)
    assert values["f1:low"] == pytest.approx(2 / 3)
    assert values["f1:high"] == pytest.approx(1 / 2)
    assert values["f1:high risk"] == pytest.approx(1 / 2)
    assert values["macro_f1"] == pytest.approx(5 / 9)
    assert values["weighted_f1"] == pytest.approx((2 / 3 + 3 / 2 + 1) / 6)


def test_a_longer_label_is_not_taken_for_the_one_it_begins_with():
    rows = _rows(["high risk", "It is low"], ["high", "low"])
    assert _values(rows)["accuracy"] == 0
    assert confusion_of(rows, LABELS).counts == ((0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0))


def test_rows_without_an_answer_count_for_nothing():
    rows = [*_rows(["low", "high"], ["low", "low"]), evaluated(None, "low", number=2, label="low")]
    assert _values(rows) == _values(rows[:2])
    assert confusion_of(rows[2:], LABELS) is None
    is_right = rightness(("generation", "labels", "loss"), LABELS)
    assert [is_right(row) for row in rows] == [True, False, None]


def test_labels_come_first_among_the_figures_of_a_task():
    assert first_figure(("generation", "labels", "loss")) == "accuracy"
    assert first_figure(("generation", "tools", "loss")) == "call_right"
    assert first_figure(("generation", "json", "loss")) == "json_equal"
    assert first_figure(("generation", "loss")) == "exact_match"
    assert first_figure(("loss",)) == "loss"


def test_choices_are_judged_by_probability_and_what_is_off_the_list_is_shown():
    rows = [
        evaluated(None, number=0, label="low", log_probs=tuple(map(math.log, (0.5, 0.3, 0.1)))),
        evaluated(None, number=1, label="low", log_probs=tuple(map(math.log, (0.1, 0.2, 0.1)))),
    ]
    values = _values(rows)
    assert values["choice_accuracy"] == 0.5
    assert values["off_list"] == pytest.approx((0.1 + 0.6) / 2)
    assert all(each is None for name, each in values.items() if name not in ("choice_accuracy", "off_list"))


def _scored(logits_NC, truths, groups=None):
    log_probs_NC = logits_NC - np.log(np.exp(logits_NC).sum(axis=1, keepdims=True))
    return [
        evaluated(
            None, number=n, group=groups and groups[n], label=LABELS[truth], log_probs=tuple(log_probs_NC[n].tolist())
        )
        for n, truth in enumerate(truths)
    ]


def _drawn(num_rows, seed):
    draws = np.random.default_rng(seed)
    logits_NC = draws.normal(0, 1.5, (num_rows, len(LABELS)))
    chances_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
    return logits_NC, [int(draws.choice(len(LABELS), p=chances)) for chances in chances_NC]


def test_a_calibrated_model_stays_within_luck_and_an_overconfident_one_does_not():
    logits_NC, truths = _drawn(500, seed=0)
    honest = calibration_of(_scored(logits_NC, truths), LABELS, seed=0)
    assert honest.error.value <= honest.error.by_luck
    assert honest.temperature == pytest.approx(1, abs=0.15)
    assert honest.off_list == pytest.approx(0, abs=1e-9)
    boastful = calibration_of(_scored(3 * logits_NC, truths), LABELS, seed=0)
    assert boastful.error.value > boastful.error.by_luck
    assert boastful.temperature == pytest.approx(3 * honest.temperature, rel=1e-6)
    assert boastful.error_at_temperature == pytest.approx(honest.error_at_temperature, rel=1e-6)


def test_a_temperature_is_judged_on_other_groups_than_those_it_is_fitted_on():
    """All rows of one group: there are no others to fit on, and the error is that of the model as it is."""
    logits_NC, truths = _drawn(60, seed=1)
    one_group = calibration_of(_scored(3 * logits_NC, truths, groups=["a"] * 60), LABELS, seed=0)
    assert one_group.error_at_temperature == one_group.error.value


def test_rows_that_were_not_scored_have_no_calibration():
    assert calibration_of(_rows(["low"], ["low"]), LABELS, seed=0) is None


@given(st.lists(st.tuples(st.sampled_from([*LABELS, "none"]), st.sampled_from(LABELS)), min_size=1, max_size=30))
def test_accuracy_is_the_diagonal_of_the_confusion(pairs):
    rows = _rows(*zip(*pairs, strict=True))
    counts = np.array(confusion_of(rows, LABELS).counts)
    assert counts.sum() == len(rows)
    assert _values(rows)["accuracy"] == pytest.approx(np.trace(counts[:, : len(LABELS)]) / len(rows))
