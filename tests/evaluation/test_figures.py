"""Figures of answers: equal to sacrebleu's and rouge-score's, and JSON field by field."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from tunelab.evaluation.figures.answer_figures import (
    ANSWERS,
    AnsweredRow,
    bleu_counts,
    bleu_signature,
    bleu_value,
    chrf_counts,
    chrf_value,
    normalised,
)
from tunelab.evaluation.figures.json_figures import JSON_ANSWERS, JsonRow, leaves
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


def test_every_figure_of_answers_is_measured():
    rows = [AnsweredRow(answer=f"answer {n}", reference=f"Answer {n}", stopped=n > 2, num_tokens=2) for n in range(12)]
    values = {each.name: each for each in measure(ANSWERS, rows, [str(row) for row in range(12)], seed=0)}
    assert (values["exact_match"].value, values["normalised_match"].value) == (0, 1)
    assert (values["length_ratio"].value, values["stopped"].value) == (1, 0.75)
    assert all(each.interval is not None for each in values.values())


def _json(answer: str, reference: object, **more: int) -> dict[str, float | None]:
    row = JsonRow(answer=answer, reference=json.dumps(reference), **more)
    return {each.name: each.value for each in measure(JSON_ANSWERS, [row], ["0"], seed=0)}


def test_json_is_judged_field_by_field():
    found = _json('{"a": 1, "b": {"c": [2, 3]}, "extra": null}', {"a": 1.0, "b": {"c": [2, 4]}, "d": True})
    assert (found["json_valid"], found["field_accuracy"]) == (1, 0.5)
    assert (found["extra_keys"], found["missing_keys"]) == (1, 1)
    assert found["schema_valid"] is None


@pytest.mark.parametrize("answer", ["{", "", 'Sure! {"a": 1}', '{"a": NaN}', "[" * 100_000])
def test_an_answer_that_is_no_json_has_all_fields_wrong(answer):
    found = _json(answer, {"a": 1, "b": 2}, schema_faults=0)
    assert (found["json_valid"], found["schema_valid"], found["field_accuracy"]) == (0, 0, 0)
    assert found["extra_keys"] is found["missing_keys"] is None


def test_true_is_no_one_and_empty_containers_are_values():
    assert _json('{"a": true}', {"a": 1})["field_accuracy"] == 0
    assert _json('{"a": [], "b": {}}', {"a": [], "b": {}})["field_accuracy"] == 1
    assert dict(leaves({"a": [{"b": 1}, []], "c": {}})) == {"a[0].b": 1, "a[1]": [], "c": {}}
