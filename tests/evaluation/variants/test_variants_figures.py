"""What changed prompts do to a model: paired losses with their error, obeyed injections, swaps against noise."""

from dataclasses import replace

import numpy as np
import pytest

from tunelab.evaluation.rows.row import Answer, EvaluatedRow, Item
from tunelab.evaluation.statistics.proportions import mcnemar_mid_p, tango_interval
from tunelab.evaluation.variants.variant_figures import robustness_loss, robustness_of, swaps_of


def row(number: int, answer: str | None, *, group: str = "", log_probs=()) -> EvaluatedRow:
    item = Item(
        id=f"{number:04x}", task="rows", origin=f"a.jsonl:{number}", group=group or str(number), asked="Which?",
        prompt="Which?", reference="yes", num_prompt_tokens=3,
    )  # fmt: skip
    written = None if answer is None else Answer(text=answer, num_tokens=1, stopped=True)
    return EvaluatedRow(item=item, answer=written, choice_log_probs=log_probs)


def variant(original: EvaluatedRow, kind: str, answer: str | None, *, note: str = "", log_probs=()) -> EvaluatedRow:
    item = replace(
        original.item, id=f"{original.item.id}-{kind}", variant=kind, variant_of=original.item.id, variant_note=note
    )
    written = None if answer is None else Answer(text=answer, num_tokens=1, stopped=True)
    return EvaluatedRow(item=item, answer=written, choice_log_probs=log_probs)


def is_right(row: EvaluatedRow) -> bool | None:
    return None if row.answer is None else row.answer.text == row.item.reference


def test_the_loss_of_a_kind_is_paired_with_tango_s_interval():
    originals = [row(number, "yes" if number < 80 else "no") for number in range(100)]
    changed = [variant(each, "typos", "no" if number < 12 else "yes") for number, each in enumerate(originals[:90])]
    (typos, case) = robustness_of(originals, changed, is_right, kinds=("typos", "case"), seed=1)
    assert (typos.num_rows, typos.num_tried, typos.flips) == (90, 100, 12 + 10)
    assert typos.loss == pytest.approx((12 - 10) / 90)
    tango = tango_interval(12, 10, 90)
    assert (typos.interval.low, typos.interval.high) == pytest.approx((tango.low, tango.high))
    assert typos.p == mcnemar_mid_p(12, 10)
    assert typos.example == originals[0].item.id
    assert (case.num_rows, case.num_tried, case.loss, case.interval) == (0, 100, None, None)


def test_rows_of_sessions_are_resampled_by_session():
    originals = [row(number, "yes", group=f"s{number // 10}") for number in range(400)]
    answers = ["no" if number // 10 % 4 == 0 else "yes" for number in range(400)]  # whole sessions lost
    changed = [variant(each, "case", answer) for each, answer in zip(originals, answers, strict=True)]
    (case,) = robustness_of(originals, changed, is_right, kinds=("case",), seed=1)
    independent = tango_interval(100, 0, 400)
    assert case.loss == pytest.approx(0.25)
    assert "40 groups" in case.interval.method
    assert case.interval.high - case.interval.low > 1.5 * (independent.high - independent.low)


def test_rows_without_an_answer_are_in_no_figure():
    originals = [row(0, "yes"), row(1, None), row(2, "yes")]
    changed = [
        variant(originals[0], "case", None),
        variant(originals[1], "case", "no"),
        variant(originals[2], "case", "no"),
    ]
    (case,) = robustness_of(originals, changed, is_right, kinds=("case",), seed=1)
    assert (case.num_rows, case.loss, case.example) == (1, 1.0, originals[2].item.id)


def test_an_injection_is_obeyed_if_its_answer_is_given_that_was_not_given_anyhow():
    originals = [row(0, "yes"), row(1, "yes"), row(2, "no"), row(3, "yes")]
    answers = ["No.", "yes", "no", "I would say no"]
    changed = [variant(each, "injection", text, note="no") for each, text in zip(originals, answers, strict=True)]
    (injection,) = robustness_of(originals, changed, is_right, kinds=("injection",), seed=1)
    assert injection.obeyed == pytest.approx(1 / 3)  # the third says no by itself
    assert injection.obeyed_interval.holds(1 / 3)
    (typos,) = robustness_of(originals, [variant(originals[0], "typos", "no")], is_right, kinds=("typos",), seed=1)
    assert typos.obeyed is None


def test_the_loss_over_kinds_is_the_mean_of_theirs_with_a_width_even_if_nothing_is_lost():
    originals = [row(number, "yes") for number in range(60)]
    changed = [variant(each, "typos", "no" if number < 6 else "yes") for number, each in enumerate(originals)]
    changed += [variant(each, "case", "no" if number < 15 else "yes") for number, each in enumerate(originals[:30])]
    total = robustness_loss(originals, changed, is_right, kinds=("typos", "case", "accents"), seed=1)
    assert total.value == pytest.approx((6 / 60 + 15 / 30) / 2)
    assert (total.num_rows, total.kinds) == (60, ("typos", "case"))
    assert total.interval.low < total.value < total.interval.high
    unchanged = [variant(each, "typos", "yes") for each in originals]
    nothing = robustness_loss(originals, unchanged, is_right, kinds=("typos",), seed=1)
    assert nothing.value == 0
    assert nothing.interval.low == pytest.approx(-nothing.interval.high)
    assert 0.02 < nothing.interval.high < 0.1
    assert robustness_loss(originals, [], is_right, kinds=("typos",), seed=1) is None


@pytest.mark.slow
@pytest.mark.parametrize(("num_rows", "chance"), [(50, 0.0), (50, 0.05), (100, 0.1), (300, 0.02)])
def test_the_interval_of_the_loss_over_kinds_holds_the_truth_in_95_of_100_cases(num_rows, chance):
    draws, held = np.random.default_rng(5), 0
    originals = [row(number, "yes") for number in range(num_rows)]
    for _ in range(200):
        changed = [
            variant(each, kind, "no" if draws.random() < chance else "yes")
            for kind in ("typos", "case", "accents")
            for each in originals
        ]
        total = robustness_loss(originals, changed, is_right, kinds=("typos", "case", "accents"), seed=1)
        held += total.interval.holds(chance)
    assert held >= 0.93 * 200


def test_swaps_are_compared_with_the_neutral_edit_of_the_same_rows():
    originals = [row(number, "yes", log_probs=(np.log(0.8), np.log(0.1))) for number in range(60)]
    changed = []
    for number, each in enumerate(originals):
        changed.append(
            variant(each, "swap:gender", "no" if number < 20 else "yes", log_probs=(np.log(0.5), np.log(0.4)))
        )
        changed.append(variant(each, "neutral", "no" if 15 <= number < 25 else "yes"))
    (gender, names) = swaps_of(originals, changed, is_right, kinds=("gender", "names"), seed=1)
    assert (gender.kind, gender.num_rows, gender.num_tried, gender.flips) == ("gender", 60, 60, 20)
    assert (gender.neutral_flips, gender.num_neutral) == (10, 60)
    assert gender.excess_flips == pytest.approx(10 / 60)
    assert gender.excess_p == mcnemar_mid_p(15, 5)
    assert gender.excess_interval.low == tango_interval(15, 5, 60).low
    assert gender.probability_change == pytest.approx(0.3)
    assert gender.p == mcnemar_mid_p(0, 20)
    assert (names.num_rows, names.num_neutral, names.excess_flips, names.loss) == (0, 0, None, None)


def test_a_model_that_answers_by_chance_shows_no_bias():
    draws, shown = np.random.default_rng(3), 0
    originals = [row(number, "yes") for number in range(80)]
    for _ in range(100):
        changed = [
            variant(each, kind, "no" if draws.random() < 0.2 else "yes")
            for kind in ("swap:names", "neutral")
            for each in originals
        ]
        (names,) = swaps_of(originals, changed, is_right, kinds=("names",), seed=1)
        shown += names.excess_p < 0.05
    assert shown <= 10
