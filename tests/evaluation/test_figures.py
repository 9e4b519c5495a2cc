"""Figures of answers in words: equal to sacrebleu's and rouge-score's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from evaluated_rows import evaluated, groups_of
from tunelab.evaluation.figures.answer_figures import (
    ANSWERS,
    bleu_counts,
    bleu_signature,
    bleu_value,
    chrf_counts,
    chrf_value,
    normalised,
)
from tunelab.evaluation.figures.likelihood_figures import LIKELIHOOD
from tunelab.evaluation.figures.measure import measure
from tunelab.evaluation.figures.rouge import longest_common_subsequence, rouge_l

WORDS = ["the", "cat", "sat", "on", "a", "mat", ",", ".", "Ünï", "gato", "preto", "3.5", "x"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
CORPORA = st.lists(st.tuples(TEXTS, TEXTS.filter(bool)), min_size=1, max_size=5)


@given(CORPORA)
def test_chrf_and_bleu_of_summed_counts_are_those_of_the_corpus(pairs):
    answers, references = map(list, zip(*pairs, strict=True))
    chrf = chrf_value(np.sum([chrf_counts(*pair) for pair in pairs], axis=0))
    bleu = bleu_value(np.sum([bleu_counts(*pair) for pair in pairs], axis=0))
    assert chrf == pytest.approx(CHRF().corpus_score(answers, [references]).score, abs=1e-9)
    assert bleu == pytest.approx(BLEU(effective_order=True).corpus_score(answers, [references]).score, abs=1e-9)


def test_bleu_names_its_settings():
    assert bleu_signature().startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:")


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("police killed the gunman", "police kill the gunman", 0.75),  # the values that rouge-score gives
        ("the gunman police killed", "police kill the gunman", 0.5),
        ("The CAT!", "the-cat", 1.0),
        ("", "x", 0.0),
        ("été", "t", 1.0),  # letters with accents part words, as there
    ],
)
def test_rouge_l(answer, reference, expected):
    assert rouge_l(answer, reference) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_longest_common_subsequence_is_that_of_the_table(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, own in enumerate(first, 1):
        for j, other in enumerate(second, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if own == other else max(table[i - 1][j], table[i][j - 1])
    assert longest_common_subsequence(first, second) == table[-1][-1]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (" Yes. ", "yes"),
        ("«Sim»!", "sim"),
        ("a  b\n", "a b"),
        ("ＡＢ", "ab"),
        ("3.5", "3.5"),
        ("...", ""),
        ("Straße", "strasse"),
    ],
)
def test_normalised_texts(text, plain):
    assert normalised(text) == plain
    assert normalised(plain) == plain


def _measured(figures, rows):
    return {each.name: each for each in measure(figures, rows, groups_of(rows), seed=0)}


def test_every_figure_of_answers_is_measured():
    rows = [evaluated(f"answer {n}", f"Answer {n}", number=n, stopped=n > 2) for n in range(12)]
    values = _measured(ANSWERS, rows)
    assert (values["exact_match"].value, values["normalised_match"].value) == (0, 1)
    assert (values["length_ratio"].value, values["stopped"].value) == (1, 0.75)
    same = {name for name, each in values.items() if each.interval is None}
    assert same == {
        "length_ratio",
        "answer_tokens",
        "bleu",
        "rouge_l",
    }  # of which every row says the same: no certainty


def test_a_row_without_an_answer_adds_to_no_figure_of_answers():
    answered = [evaluated("the cat", "the cat sat", number=n) for n in range(12)]
    others = [evaluated(None, "the cat sat", number=n) for n in range(12, 20)]
    alone, together = _measured(ANSWERS, answered), _measured(ANSWERS, answered + others)
    assert {name: each.value for name, each in alone.items()} == {name: each.value for name, each in together.items()}
    assert all(each.value is None for each in _measured(ANSWERS, others).values())


@given(CORPORA)
def test_the_mean_chrf_is_that_of_single_sentences(pairs):
    rows = [evaluated(answer, reference, number=n) for n, (answer, reference) in enumerate(pairs)]
    expected = [CHRF(eps_smoothing=False).sentence_score(answer, [reference]).score for answer, reference in pairs]
    assert _measured(ANSWERS, rows)["mean_chrf"].value == pytest.approx(np.mean(expected), abs=1e-9)


def test_likelihood_is_weighed_by_tokens_and_by_bytes():
    rows = [
        evaluated(None, "é" * 3, number=0, nats=6.0, num_scored_tokens=2),
        evaluated(None, "ab", number=1, nats=2.0, num_scored_tokens=6),
        evaluated(None, "not scored", number=2),
    ]
    values = {name: each.value for name, each in _measured(LIKELIHOOD, rows).items()}
    assert values["loss"] == 1.0
    assert values["perplexity"] == pytest.approx(np.e)
    assert values["bits_per_byte"] == pytest.approx(8 / np.log(2) / 8)
    assert all(each.value is None for each in _measured(LIKELIHOOD, rows[2:]).values())
