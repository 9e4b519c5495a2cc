"""What judgements add up to: wins in both orders, how far order, luck and length decide, and agreement with people."""

import math

import numpy as np
import pytest
from judged_rows import judged_row

from tunelab.evaluation.judging.asks import Ask, JudgedRow, plan_asks
from tunelab.evaluation.judging.calls import JudgeAnswers, Judgement
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.figures import JudgeReport, judge_report
from tunelab.evaluation.judging.judge_words import judge_lines
from tunelab.evaluation.judging.length_control import controlled_interval, controlled_win_rate
from tunelab.evaluation.judging.ratings import Rating, rating_of
from tunelab.evaluation.judging.rubric import named_criteria

ONE = named_criteria(["relevance"])
CONFIG = JudgeConfig(endpoint="http://127.0.0.1:8000/v1", model="judge-7b", repeat_share=1.0)


def report(
    rows: list[JudgedRow],
    values: dict[tuple[int, str, int], int | None],
    *,
    config: JudgeConfig = CONFIG,
    ratings: list[Rating] | None = None,
    model: str = "judge-7b",
    base_model: str = "smollm2",
) -> JudgeReport:
    """Return the report of what a judge said, by row, what was shown and repeat."""
    asks = plan_asks(config, ONE, rows)

    def judgement(ask: Ask) -> Judgement | None:
        place = (int(ask.row.item.id, 16), ask.shown, ask.repeat)
        if place not in values:
            return None
        return Judgement(
            key=ask.key, item=ask.row.item.id, criterion="relevance", shown=ask.shown, value=values[place], model=model
        )

    said = {ask.key: made for ask in asks if (made := judgement(ask)) is not None}
    judged = JudgeAnswers(judgements=said, num_asked=len(said), faults={})
    return judge_report(config, ONE, rows, asks, judged, ratings=ratings or [], base_model=base_model, seed=1)


def pairs(number: int) -> list[JudgedRow]:
    return [judged_row(each, "one", "other") for each in range(number)]


def test_a_win_counts_only_if_both_orders_agree() -> None:
    rows = [*pairs(4), judged_row(4, "same", "same")]
    orders = {0: (1, 1), 1: (-1, -1), 2: (1, -1), 3: (1, 0)}
    values = {
        (row, shown, 0): value
        for row, both in orders.items()
        for shown, value in zip(("before first", "after first"), both, strict=True)
    }
    whole = report(rows, values)
    (figures,) = whole.pairs
    assert (figures.num_rows, figures.wins, figures.losses, figures.ties) == (5, 1, 1, 3)
    assert figures.win_rate == 0.5
    assert figures.flip_rate == 0.5
    assert whole.num_equal == 1


def test_a_judge_that_takes_whatever_is_first_wins_nothing_and_is_found_out() -> None:
    rows = pairs(40)
    values = {(row, "before first", 0): -1 for row in range(40)} | {(row, "after first", 0): 1 for row in range(40)}
    (figures,) = report(rows, values).pairs
    assert (figures.wins, figures.losses, figures.ties) == (0, 0, 40)
    assert (figures.win_rate, figures.flip_rate, figures.first_place_share) == (0.5, 1.0, 1.0)


def test_a_row_without_a_judgement_in_one_order_counts_nowhere() -> None:
    values: dict[tuple[int, str, int], int | None] = {
        (row, shown, 0): 1 for row in range(3) for shown in ("before first", "after first")
    }
    values[1, "after first", 0] = None
    del values[2, "before first", 0]
    whole = report(pairs(3), values, config=CONFIG.model_copy(update={"repeat_share": 0.0}))
    (figures,) = whole.pairs
    assert (figures.num_rows, figures.win_rate) == (1, 1.0)
    assert whole.num_without_judgement == 2
    assert "no judgement in 2 of 6 calls, which count nowhere" in list(judge_lines(whole))


def test_without_any_judgement_there_is_no_figure() -> None:
    (figures,) = report(pairs(3), {}).pairs
    assert (figures.win_rate, figures.interval, figures.controlled_win_rate, figures.flip_rate) == (None,) * 4
    assert "no row was judged in both orders" in next(judge_lines(report(pairs(3), {})))


def test_the_repeat_rate_is_the_share_of_calls_that_give_the_same_again() -> None:
    values = {(row, shown, 0): 1 for row in range(10) for shown in ("before first", "after first")}
    values |= {(row, "before first", 1): 1 if row < 7 else 0 for row in range(10)}
    assert report(pairs(10), values).pairs[0].repeat_rate == pytest.approx(0.7)


def test_twelve_rows_that_are_all_won_are_no_certainty() -> None:
    values = {(row, shown, 0): 1 for row in range(12) for shown in ("before first", "after first")}
    (figures,) = report(pairs(12), values).pairs
    assert (figures.win_rate, figures.controlled_win_rate) == (1.0, 1.0)
    assert figures.interval is not None
    assert figures.interval.low == pytest.approx((0.52 + 1) / 2, abs=0.01)  # Tango: +52 to +100 points
    assert figures.controlled_interval == figures.interval


def test_rows_of_one_session_are_resampled_together() -> None:
    draws = np.random.default_rng(0)
    of_session = draws.integers(0, 2, 40) * 2 - 1
    rows = [judged_row(each, "one", "other", group=f"s{each // 10}") for each in range(400)]
    alone = [judged_row(each, "one", "other") for each in range(400)]
    values = {
        (row, way, 0): int(of_session[row // 10]) for row in range(400) for way in ("before first", "after first")
    }
    wide, narrow = (report(some, values).pairs[0].interval for some in (rows, alone))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_equal_lengths_leave_the_win_rate_as_it_is() -> None:
    wins = [1.0, 0.5, 0.0, 1.0, 1.0]
    assert controlled_win_rate(wins, [7] * 5) == pytest.approx(np.mean(wins))
    assert controlled_win_rate(wins, [0] * 5) == pytest.approx(np.mean(wins))


def test_swapping_the_models_turns_the_controlled_win_rate_around() -> None:
    draws = np.random.default_rng(1)
    wins, lengths = draws.choice([0, 0.5, 1], 60), draws.normal(20, 50, 60)
    one, other = controlled_win_rate(wins, lengths), controlled_win_rate(1 - wins, -lengths)
    assert one is not None
    assert other is not None
    assert one == pytest.approx(1 - other, abs=1e-9)


def test_a_judge_that_likes_length_alone_gives_no_win_at_equal_length() -> None:
    draws = np.random.default_rng(2)
    lengths = draws.normal(60, 60, 400)  # the later model writes more
    wins = (draws.random(400) < 1 / (1 + np.exp(-2 * np.tanh(lengths / lengths.std())))).astype(float)
    controlled = controlled_win_rate(wins, lengths)
    assert controlled is not None
    assert np.mean(wins) > 0.7
    assert controlled == pytest.approx(0.5, abs=0.08)
    interval = controlled_interval(wins, lengths, [str(row) for row in range(400)], seed=1)
    assert interval is not None
    assert interval.holds(0.5)
    assert not interval.holds(float(np.mean(wins)))


def test_lengths_that_decide_every_row_have_a_finite_figure() -> None:
    lengths = [-30, -20, -10, 10, 20, 30]
    controlled = controlled_win_rate([0, 0, 0, 1, 1, 1], lengths)
    assert controlled == pytest.approx(0.5, abs=1e-6)


def test_the_fit_is_the_most_likely_one() -> None:
    draws = np.random.default_rng(3)
    wins, lengths = draws.choice([0, 0.5, 1], 80, p=[0.2, 0.2, 0.6]), draws.normal(0, 30, 80)
    scaled = np.tanh(lengths / lengths.std())
    controlled = controlled_win_rate(wins, lengths)
    assert controlled is not None

    def log_likelihood(intercept: float, slope: float) -> float:
        chance = 1 / (1 + np.exp(-intercept - slope * scaled))
        return float((wins * np.log(chance) + (1 - wins) * np.log(1 - chance)).sum() - slope**2 / 18)

    grid = np.linspace(-2, 2, 201)
    intercept = math.log(controlled / (1 - controlled))
    best = max((log_likelihood(each, slope), each) for each in grid for slope in grid[::4])
    assert intercept == pytest.approx(best[1], abs=0.03)


def human(rows: list[JudgedRow], values: list[int | None], rater: str = "ana") -> list[Rating]:
    return [rating_of(row, ONE[0], rater=rater, value=value) for row, value in zip(rows, values, strict=True)]


def test_below_thirty_human_ratings_a_judge_is_unchecked() -> None:
    rows = pairs(40)
    said = [1 if row % 3 else -1 for row in range(40)]
    values = {(row, way, 0): said[row] for row in range(40) for way in ("before first", "after first")}
    few = report(rows, values, ratings=human(rows[:29], said[:29]))
    assert not few.pairs[0].agreement.is_checked
    assert "unchecked: 29 of 30 human ratings" in next(judge_lines(few))
    enough = report(rows, values, ratings=human(rows, [*said[:38], -1, 1]))
    agreement = enough.pairs[0].agreement
    assert agreement.num_rows == 40
    assert agreement.kappa is not None
    assert agreement.interval is not None
    assert agreement.interval.low < agreement.kappa < agreement.interval.high <= 1
    assert "with people on 40 rows" in next(judge_lines(enough))


def test_ratings_of_other_answers_or_other_words_check_nothing() -> None:
    rows = pairs(40)
    values = {(row, way, 0): 1 for row in range(40) for way in ("before first", "after first")}
    others = [judged_row(each, "one", "another") for each in range(40)]
    (other_words,) = named_criteria(["domain"])
    stale = human(others, [1] * 40)
    stale += [rating_of(row, other_words, rater="ana", value=1) for row in rows]
    assert report(rows, values, ratings=stale).pairs[0].agreement.num_rows == 0


def test_the_later_rating_of_a_person_counts_and_the_median_of_several() -> None:
    rows = pairs(30)
    judged = [1 if row % 2 else -1 for row in range(30)]
    values = {(row, way, 0): judged[row] for row in range(30) for way in ("before first", "after first")}
    turned: list[int | None] = [-value for value in judged]
    corrected = human(rows, turned) + human(rows, list(judged))
    assert report(rows, values, ratings=corrected).pairs[0].agreement.kappa == 1.0
    three = human(rows, turned, "bea") + human(rows, list(judged)) + human(rows, list(judged), "cem")
    assert report(rows, values, ratings=three).pairs[0].agreement.kappa == 1.0
    assert report(rows, values, ratings=human(rows, [None] * 30)).pairs[0].agreement.num_rows == 0


def test_ratings_by_themselves_give_means_and_a_difference() -> None:
    config = CONFIG.model_copy(update={"pairwise": False})
    draws = np.random.default_rng(0)
    before, after = draws.integers(1, 4, 40), draws.integers(3, 6, 40)
    values = {(row, "before", 0): int(before[row]) for row in range(40)}
    values |= {(row, "after", 0): int(after[row]) for row in range(40)}
    alone = [JudgedRow(item=row.item, before=None, after=row.after) for row in pairs(40)]
    people = human(alone, [int(value) for value in after])
    whole = report(pairs(40), values, config=config, ratings=people)
    (figures,) = whole.ratings
    assert whole.pairs == ()
    assert (figures.before, figures.after) == (pytest.approx(before.mean()), pytest.approx(after.mean()))
    assert figures.interval is not None
    assert figures.interval.holds(float((after - before).mean()))
    assert figures.agreement.kappa == 1.0


def test_another_model_and_one_of_the_same_family_are_said() -> None:
    values = {(row, way, 0): 1 for row in range(3) for way in ("before first", "after first")}
    whole = report(pairs(3), values, model="judge-1b", base_model="org/Judge-70B")
    assert whole.other_models == {"judge-1b": 6}
    lines = list(judge_lines(whole))
    assert 'the endpoint answered as "judge-1b", not as "judge-7b", in 6 calls' in lines
    assert any("judges prefer their own kind" in line for line in lines)
    assert not report(pairs(3), values).other_models
    assert not report(pairs(3), values).is_same_family
