import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.errors import MissingExtraError
from tunelab.evaluation import scorers
from tunelab.evaluation.comparison import mean, paired_interval
from tunelab.evaluation.scorers import chrf, exact_match, perplexity


def test_no_data_is_no_result_and_never_zero():
    assert mean([]) is None
    assert perplexity(None) is None
    assert perplexity(math.nan) is None
    assert perplexity(math.inf) is None
    assert perplexity(1e4) is None
    assert paired_interval([], [], seed=1) is None
    assert paired_interval([1.0] * 9, [str(row) for row in range(9)], seed=1) is None


def test_perplexity_is_the_exponential_of_the_loss():
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(17)) == pytest.approx(17)


def test_exact_match_looks_past_outer_white_space_only():
    assert exact_match(" yes\n", "yes")
    assert not exact_match("y es", "yes")
    assert not exact_match("Yes", "yes")


@given(st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_an_equal_answer_has_the_highest_chrf(text):
    assert chrf(text, text) == 100.0


def test_chrf_is_that_of_sacrebleu():
    import sacrebleu

    pairs = [("o gato preto", "o gato branco"), ("", "something"), ("abc", "xyz")]
    for answer, reference in pairs:
        assert chrf(answer, reference) == sacrebleu.sentence_chrf(answer, [reference]).score
    assert chrf(*pairs[0]) > chrf(*pairs[2]) == 0.0


def test_a_missing_sacrebleu_is_said_in_one_sentence(monkeypatch):
    scorers._chrf.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(MissingExtraError, match="sacrebleu"):
        chrf("a", "b")
    scorers._chrf.cache_clear()


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    draws = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        sample = draws.normal(0.3, 1.0, size=60)
        low, high = paired_interval(list(sample), [str(row) for row in range(60)], seed=trial)
        covered += low <= 0.3 <= high
    assert 51 <= covered <= 59


def test_rows_of_one_group_do_not_count_as_independent():
    draws = np.random.default_rng(1)
    per_group = draws.normal(0, 1, size=30)
    alone = paired_interval(list(per_group), [str(group) for group in range(30)], seed=3)
    repeated = paired_interval(
        list(np.repeat(per_group, 20)), [str(group) for group in np.repeat(range(30), 20)], seed=3
    )
    assert repeated == pytest.approx(alone)
    wrongly = paired_interval(list(np.repeat(per_group, 20)), [str(row) for row in range(600)], seed=3)
    assert (wrongly[1] - wrongly[0]) < 0.5 * (alone[1] - alone[0])


def test_the_same_seed_gives_the_same_interval():
    values, groups = [row**0.5 for row in range(40)], [str(row) for row in range(40)]
    assert paired_interval(values, groups, seed=5) == paired_interval(values, groups, seed=5)
    assert paired_interval(values, groups, seed=5) != paired_interval(values, groups, seed=6)


def test_evaluation_brings_no_torch():
    code = (
        "import sys, tunelab.evaluation.comparison, tunelab.evaluation.report_html, tunelab.evaluation.report_words;"
        "print([name for name in ('torch', 'transformers', 'peft', 'sacrebleu') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
