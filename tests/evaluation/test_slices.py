"""Figures by groups of rows: what changed where, who is served worse, and what so many rows show."""

import math

import numpy as np
import pytest

from evaluated_rows import evaluated
from tunelab.evaluation.figures.answer_figures import ANSWERS
from tunelab.evaluation.figures.changes import changes_of
from tunelab.evaluation.figures.figures_of import figures_of, rightness
from tunelab.evaluation.reports.report import ModelRecord, Report, TaskReport
from tunelab.evaluation.reports.words import caveats, how_sure
from tunelab.evaluation.shown_difference import shown_difference
from tunelab.evaluation.slices import calibration_by_slice, gaps_of, slice_changes, slices_of
from tunelab.evaluation.statistics.power import difference_shown

EXACT = ANSWERS[0]
IS_RIGHT = rightness(("generation",), ())


def _rows(is_right_N, values=None, groups=None):
    return [
        evaluated(
            "yes" if is_right else "no",
            "yes",
            number=n,
            group=groups and groups[n],
            fields={"language": values[n]} if values else {},
        )
        for n, is_right in enumerate(is_right_N)
    ]


def test_a_slice_that_broke_is_found_and_equal_ones_are_not():
    values = ["en"] * 40 + ["pt"] * 40 + ["de"] * 40
    before = _rows([True] * 120, values)
    after = _rows([True] * 40 + [False] * 20 + [True] * 60, values)
    found = {each.value: each for each in slice_changes(EXACT, before, after, seed=0)}
    assert {value for value, each in found.items() if each.is_worth_a_look} == {"pt"}
    assert found["pt"].change.value == -0.5
    assert found["pt"].change.interval.high < 0


def test_a_slice_of_fewer_than_ten_groups_is_named_without_an_interval():
    values = ["en"] * 40 + ["pt"] * 9
    found = {
        each.value: each
        for each in slice_changes(EXACT, _rows([True] * 49, values), _rows([False] * 49, values), seed=0)
    }
    assert found["en"].change.interval is not None
    assert (found["pt"].change.value, found["pt"].change.interval, found["pt"].change.p) == (-1, None, None)
    assert not found["pt"].is_worth_a_look


def test_a_field_with_one_value_or_one_for_each_row_is_no_slice():
    same = _rows([True] * 50, ["en"] * 50)
    different = _rows([True] * 50, [str(n) for n in range(50)])
    assert slices_of(same) == slices_of(different) == {}


def test_many_slices_in_which_nothing_changed_seldom_look_like_something():
    """Of ten slices without correction, one in 40 of 100 comparisons would."""
    draws, alarms = np.random.default_rng(0), 0
    values = [str(n % 10) for n in range(300)]
    for seed in range(25):
        before, after = (_rows((draws.random(300) < 0.7).tolist(), values) for _ in range(2))
        alarms += any(each.is_worth_a_look for each in slice_changes(EXACT, before, after, seed=seed))
    assert alarms <= 4  # more by luck in one case of a hundred


def test_figures_of_answers_and_of_likelihood_change_each_over_its_own_rows():
    before = [evaluated("no", "yes", number=n, nats=2.0, num_scored_tokens=1) for n in range(12)]
    after = [evaluated("yes" if n < 6 else None, "yes", number=n, nats=1.0, num_scored_tokens=1) for n in range(12)]
    changes = {each.name: each for each in changes_of(figures_of(("generation", "loss")), before, after, seed=0)}
    assert (changes["exact_match"].value, changes["exact_match"].after.num_rows) == (1, 6)
    assert (changes["loss"].value, changes["loss"].after.num_rows) == (-1, 12)


def test_a_gap_between_groups_leaves_out_what_was_not_judged():
    rows = _rows([True] * 30 + [False] * 15 + [True] * 15, ["en"] * 30 + ["pt"] * 30)
    unanswered = [evaluated(None, "yes", number=100 + n, fields={"language": "pt"}) for n in range(40)]
    ((name, found),) = gaps_of([*rows, *unanswered], ("language", "region"), IS_RIGHT, seed=0).items()
    assert (name, found.value) == ("language", 0.5)
    assert found.p < 0.01
    assert [(each.name, each.num_rows) for each in found.groups] == [("en", 30), ("pt", 30)]


def test_the_calibration_of_a_slice_that_is_too_sure_is_found():
    draws = np.random.default_rng(0)
    rows = []
    for n in range(400):
        value = "en" if n % 2 else "pt"
        chance = 0.9 if value == "en" else 0.55
        label = "a" if draws.random() < chance else "b"
        log_probs = (math.log(0.9), math.log(0.1))
        rows.append(evaluated(None, number=n, label=label, log_probs=log_probs, fields={"language": value}))
    found = {each.value: each for each in calibration_by_slice(rows, ("a", "b"), seed=0)}
    assert {value for value, each in found.items() if each.is_worth_a_look} == {"pt"}
    assert found["pt"].num_rows == 200
    assert found["pt"].error.value == pytest.approx(0.35, abs=0.1)


def test_what_rows_show_depends_on_how_many_changed():
    before = _rows([n % 5 != 0 for n in range(200)])
    after = _rows([n % 5 != 1 for n in range(200)])
    assert shown_difference(before, after, IS_RIGHT) == pytest.approx(difference_shown(200, flips=0.4))
    assert shown_difference(before, before, IS_RIGHT) is None


def test_rows_of_one_session_that_change_together_show_less():
    sessions = [str(n // 10) for n in range(200)]
    is_right = [(n // 10) % 5 != 0 for n in range(200)], [(n // 10) % 5 != 1 for n in range(200)]
    together = shown_difference(*(_rows(each, groups=sessions) for each in is_right), IS_RIGHT)
    apart = shown_difference(*(_rows(each) for each in is_right), IS_RIGHT)
    assert together is None or together > 2 * apart


def _report(gaps, shown):
    task = TaskReport(
        name="rows",
        kinds=("generation",),
        num_rows=60,
        num_groups=60,
        labels=(),
        first_figure="exact_match",
        figures=(),
        verdicts={},
        gaps=gaps,
        shown_difference=shown,
    )
    model = ModelRecord(name="m", base_model="nano", adapter="", template_sha256="", weights_sha256="")
    return Report(suite="0", data="60 rows", before=model, after=model, sampling={}, tasks=(task,))


def test_a_gap_is_reported_only_beyond_luck_and_what_rows_show_is_said():
    unequal = _rows([True] * 30 + [False] * 15 + [True] * 15, ["en"] * 30 + ["pt"] * 30)
    nearly = _rows([True] * 30 + [False] * 2 + [True] * 28, ["en"] * 30 + ["pt"] * 30)
    (words,) = caveats(_report(gaps_of(unequal, ("language",), IS_RIGHT, seed=0), None))
    assert words.startswith("By language, right answers differ by 50.0 points: en 100 %, pt 50 %.")
    assert caveats(_report(gaps_of(nearly, ("language",), IS_RIGHT, seed=0), None)) == []
    assert "a difference of 8.8 points is shown four times in five" in how_sure(_report({}, 0.0884))
