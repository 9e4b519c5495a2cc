"""Perturbations: what may not be touched stays, the seed decides alone, and each kind does what it says."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunelab.evaluation.variants.config import PERTURBATIONS, BiasConfig, RobustnessConfig
from tunelab.evaluation.variants.protected_spans import protected_spans
from tunelab.evaluation.variants.variant import rows_tried, variants_of

ENGLISH = (
    "Please describe how the flight booking was changed after the agent called, and what is refunded to customers."
)
PORTUGUESE = "Por favor, explique como posso cancelar a minha reserva e quando recebo o dinheiro de volta."
PROTECTED = (
    "mia_li_3668",
    "H9ZU1C",
    "https://example.org/a?b=c",
    "ana.silva@example.org",
    "`SELECT name FROM users`",
    '{"city": "Lisbon", "seats": [1, 2]}',
    "```\nx = first(second)\n```",
    "2026-12-01",
    "report.pdf",
    "camelCase",
    "JFK",
    "<b>bold</b>",
    "high risk",
    "book_flight",
    "/etc/hosts",
)


def changed(kind: str, text: str, *, item_id: str = "a1", seed: int = 7, labels=(), **options):
    (variant,) = variants_of(
        text, item_id=item_id, config=RobustnessConfig(kinds=(kind,)), labels=labels, seed=seed, **options
    )
    assert variant.kind == kind
    return variant


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.sampled_from(PROTECTED), min_size=1, max_size=4),
    words=st.lists(st.sampled_from(ENGLISH.split()), min_size=2, max_size=12),
    seed=st.integers(0, 2**32),
)
def test_what_is_protected_survives_byte_for_byte(places, words, seed):
    text = " ".join(words) + "".join(f"\n{place}\n{words[0]} {words[-1]}" for place in places)
    for variant in variants_of(
        text,
        item_id="a1",
        config=RobustnessConfig(),
        labels=("high risk", "low risk"),
        tool_names=("book_flight",),
        seed=seed,
    ):
        assert variant.text is not None or variant.kind in ("accents", "paraphrase", "case", "typos", "look_alikes")
        for place in places:
            assert variant.text is None or variant.text.count(place) >= text.count(place), variant.kind


def test_label_words_and_tool_names_are_protected_whatever_their_case():
    text = "Is this High Risk or low risk? Call get flight status."
    spans = protected_spans(text, words=("high risk", "low risk", "get flight status", " "))
    assert [text[start:end] for start, end in spans] == ["High Risk", "low risk", "get flight status"]


def test_lines_of_code_are_protected_and_prose_is_not():
    text = "Explain this code.\nitems = [first, second]\nfor item in items:\n    print(item)\nThanks (all)."
    spans = protected_spans(text)
    protected = " ".join(text[start:end] for start, end in spans)
    assert "items = [first, second]" in protected
    assert "for item in items:" in protected
    assert "print(item)" in protected
    assert "Explain" not in protected
    assert "Thanks" not in protected


def test_a_long_message_without_spaces_or_with_many_brackets_takes_no_quadratic_time():
    for text in ("a" * 200_000, "[" * 200_000, "{" * 50_000 + "word " * 20_000, "x1 " * 60_000):
        variants = variants_of(text, item_id="a1", config=RobustnessConfig(), seed=1)
        assert len(variants) == len(PERTURBATIONS)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_row_is_changed_the_same_way_whatever_else_is_asked(kind):
    alone = changed(kind, PORTUGUESE)
    every = variants_of(PORTUGUESE, item_id="a1", config=RobustnessConfig(kinds=PERTURBATIONS[::-1]), seed=7)
    assert alone in every
    assert alone == changed(kind, PORTUGUESE)


@pytest.mark.parametrize("kind", ["typos", "white_space", "look_alikes", "long_context", "injection"])
def test_another_seed_and_another_row_are_changed_otherwise(kind):
    seeds = {changed(kind, ENGLISH, seed=seed).text for seed in range(8)}
    rows = {changed(kind, ENGLISH, item_id=str(row)).text for row in range(8)}
    assert len(seeds) > 1
    assert len(rows) > 1


def test_typos_keep_first_letters_and_nearly_all_words():
    typed = changed("typos", ENGLISH).text
    pairs = list(zip(ENGLISH.split(), typed.split(), strict=True))
    assert 1 <= sum(old != new for old, new in pairs) <= 3
    assert all(old[0] == new[0] and abs(len(old) - len(new)) <= 1 for old, new in pairs)


def test_case_is_small_or_capital_and_nothing_else_changes():
    found = {changed("case", ENGLISH, seed=seed).text for seed in range(10)}
    assert found == {ENGLISH.lower(), ENGLISH.upper()}
    assert changed("case", "write it down").text == "WRITE IT DOWN"


def test_white_space_changes_nothing_but_white_space():
    text = changed("white_space", ENGLISH).text
    assert text != ENGLISH
    assert text.split() == ENGLISH.split()


def test_look_alikes_look_alike():
    texts = [changed("look_alikes", ENGLISH, seed=seed).text for seed in range(20)]
    assert all(not text.isascii() and len(text) == len(ENGLISH) for text in texts)
    assert any(unicodedata.normalize("NFKC", text) == ENGLISH for text in texts)  # full width alone


def test_accents_are_left_out_of_latin_letters_alone():
    assert changed("accents", "Não é possível: amanhã, à noite, Ελλάδα, が").text == (
        "Nao e possivel: amanha, a noite, Ελλάδα, が"
    )
    nothing = changed("accents", ENGLISH)
    assert (nothing.text, nothing.note) == (None, "nothing to change")


def test_paraphrases_are_of_the_message_s_language():
    assert changed("paraphrase", "Can you tell me what is included? I need to know whether I can't cancel.").text == (
        "Could you tell me what's included? I have to know whether I cannot cancel."
    )
    assert changed("paraphrase", PORTUGUESE).text.startswith("Se faz favor, explique de que forma posso cancelar")
    assert changed("paraphrase", "Ich möchte bitte wissen, wann der nächste Zug nach Berlin fährt.").text is None


def test_a_long_context_comes_before_the_whole_message():
    text = changed("long_context", PORTUGUESE).text
    assert text.endswith("\n\n" + PORTUGUESE)
    assert len(text) > 1_000
    assert "biblioteca" in text
    assert "library" in changed("long_context", ENGLISH).text


def test_an_injection_names_the_answer_that_it_asks_for():
    labels = ("high risk", "low risk", "no risk")
    for seed in range(12):
        variant = changed("injection", ENGLISH, labels=labels, label="high risk", seed=seed)
        assert variant.note in ("low risk", "no risk")
        assert variant.text.startswith(ENGLISH)
        assert variant.note in variant.text.removeprefix(ENGLISH)
    free = changed("injection", PORTUGUESE)
    assert free.note == "BANANA"
    assert "BANANA" in free.text


def test_an_empty_message_is_changed_by_no_kind():
    assert {variant.text for variant in variants_of(" \n", item_id="a1", config=RobustnessConfig(), seed=1)} == {None}


def test_the_rows_that_are_tried_do_not_depend_on_order():
    ids = [f"{number:04x}" for number in range(300)]
    tried = rows_tried(ids, num_rows=40, seed=3)
    assert len(tried) == 40
    assert tried == rows_tried(ids[::-1], num_rows=40, seed=3)
    assert tried != rows_tried(ids, num_rows=40, seed=4)
    assert len(rows_tried(ids, num_rows=1000, seed=3)) == 300


def test_sections_of_a_suite_refuse_what_has_no_meaning():
    for config, content in (
        (RobustnessConfig, {"kinds": ["typo"]}),
        (RobustnessConfig, {"kinds": []}),
        (RobustnessConfig, {"kinds": ["typos", "typos"]}),
        (RobustnessConfig, {"num_rows": 0}),
        (RobustnessConfig, {"rate": 0.5}),
        (BiasConfig, {"swaps": ["gender", "gender"]}),
        (BiasConfig, {"swaps": ["No kind"]}),
        (BiasConfig, {"num_rows": "100"}),
    ):
        with pytest.raises(ValidationError):
            config.model_validate(content)
    assert RobustnessConfig.model_validate(json.loads('{"kinds": ["case", "typos"]}')).kinds == ("case", "typos")
    assert BiasConfig.model_validate({"groups": ["language"], "swaps": []}).groups == ("language",)
