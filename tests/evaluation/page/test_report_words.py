"""The sentences and figures of a report, which the terminal and the page share."""

from dataclasses import replace

import pytest

from made_up_reports import change, interval, plain_report, plain_task, row, unmeasured, whole_report
from tunelab.evaluation.reports.numbers import difference_in_words, in_words, interval_in_words
from tunelab.evaluation.reports.words import (
    general_in_words,
    headline,
    how_sure,
    rows_in_words,
    sampling_in_words,
    totals_table,
)


def said(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.61, 0.875, "The tuned model is better: accuracy 61.0 % before, 87.5 % after."),
        (0.875, 0.61, "The tuned model is worse: accuracy 87.5 % before, 61.0 % after."),
        (0.5, 0.5, "The tuned model is not shown to be better or worse: accuracy 50.0 % before, 50.0 % after."),
    ],
)
def test_the_headline_says_better_worse_or_not_shown(before: float, after: float, expected: str) -> None:
    assert said(headline(plain_report(plain_task(before=before, after=after)))) == expected


def test_the_headline_of_several_tasks_names_each_by_its_verdict() -> None:
    tasks = plain_task("intents"), plain_task("tools", 0.8, 0.7), plain_task("notes", 0.5, 0.5)
    expected = (
        "The tuned model is better on intents; it is worse on tools; it is not shown to be better or worse on notes."
    )
    assert headline(plain_report(*tasks)) == expected


def test_two_tuned_models_are_called_by_their_names() -> None:
    report = plain_report()
    report = replace(report, before=replace(report.after, name="intents-1"))
    assert headline(report).startswith("The model intents-20261201-1 is better")


def test_nothing_measured_is_said_and_is_no_zero() -> None:
    report = plain_report(replace(plain_task(), figures=(unmeasured("accuracy"),), verdicts={}))
    assert headline(report) == "Nothing was measured: no row could be scored."
    assert totals_table(report.tasks[0]) == []
    assert how_sure(report) == ""


def test_a_figure_is_written_by_its_kind() -> None:
    written = {
        ("accuracy", 0.875): "87.5 %",
        ("exact_match", 1.0): "100.0 %",
        ("macro_f1", 0.8421): "0.842",
        ("chrf", 76.06): "76.1",
        ("loss", 2.4): "2.400",
        ("perplexity", 5.2e7): "5.2e+07",
        ("latency_p95_ms", 1512.0): "1,512 ms",
        ("accuracy", None): "–",
        ("accuracy", float("nan")): "–",
    }
    for (name, value), expected in written.items():
        assert said(in_words(name, value)) == expected
    assert said(difference_in_words("accuracy", -0.05)) == "−5.0 points"
    assert said(difference_in_words("accuracy", 0.0001)) == "0.0 points"
    assert said(difference_in_words("loss", 0.02)) == "+0.020"
    assert said(interval_in_words("accuracy", interval(-0.02, 0.31), of_difference=True)) == "−2.0 to +31.0 points"
    assert interval_in_words("accuracy", None) == "–"


def test_the_table_says_better_and_worse_only_of_what_is_shown() -> None:
    task = replace(plain_task(), figures=(change("accuracy", 0.6, 0.9), change("macro_f1", 0.6, 0.61)))
    lines = totals_table(task)
    assert [(line.title, line.verdict) for line in lines] == [("Accuracy", "better"), ("Macro F1", "")]
    assert "answers that are the right label; 200 rows" in lines[0].meaning
    assert said(lines[0].interval) == "+24.0 to +36.0 points"


def test_how_intervals_are_made_is_said_and_why_there_is_none() -> None:
    assert "10,000 resamples of 40 groups" in how_sure(plain_report())
    without = replace(change("accuracy", 0.5, 0.6), interval=None, p=None)
    report = plain_report(replace(plain_task(), figures=(without,), verdicts={"accuracy": "not shown"}))
    assert how_sure(report) == "A dash: 10 conversations or sessions that differ are needed for an interval."


def test_rows_are_counted_by_what_happened_to_them() -> None:
    rows = [row(0, "fixed"), row(1, "broken"), row(2, "right"), row(3, "wrong"), row(4, "right")]
    assert rows_in_words(rows) == "1 row fixed, 1 broken, 3 unchanged (2 right, 1 wrong)."
    assert rows_in_words([]) == "0 rows fixed, 0 broken, 0 unchanged."


def test_forgetting_is_said_with_its_interval_or_why_there_is_none() -> None:
    first, second = whole_report().general
    assert general_in_words(first) == "+0.030 nats a token (+0.020 to +0.040)"
    assert general_in_words(second) == "+0.010 nats a token (no interval: too few texts)"


def test_sampling_names_what_has_an_effect() -> None:
    report = plain_report()
    assert sampling_in_words(report) == "greedy, max_new_tokens 32"
    warm = replace(report, sampling={"temperature": 0.7, "seed": 42, "top_p": 0.9})
    assert sampling_in_words(warm) == "temperature 0.7, seed 42, top_p 0.9"
