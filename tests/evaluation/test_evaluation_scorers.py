import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tunelab.evaluation.comparison import mean
from tunelab.evaluation.scorers import chrf, exact_match, perplexity

from tunelab.errors import MissingExtraError
from tunelab.evaluation import scorers


def test_no_data_is_no_result_and_never_zero():
    assert mean([]) is None
    assert perplexity(None) is None
    assert perplexity(math.nan) is None
    assert perplexity(math.inf) is None
    assert perplexity(1e4) is None


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


def test_evaluation_brings_no_torch():
    code = (
        "import sys, tunelab.evaluation.comparison, tunelab.evaluation.report_html, tunelab.evaluation.report_words;"
        "print([name for name in ('torch', 'transformers', 'peft', 'sacrebleu') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
