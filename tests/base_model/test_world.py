"""The sample world: seeded, varied, and free of the four sample tasks."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from random import Random

import pytest

from base_model.corpus import documents
from base_model.texts import split_sentences
from base_model.words import DETECTORS
from base_model.world import FINDING_VALUES, draw_finding, draw_order, draw_person, draw_product
from sample_tasks.descriptions import draw_description_sample
from sample_tasks.sessions import SYSTEM, TOOL_CATALOGUE
from sample_tasks.simple_support import draw_support_sample
from sample_tasks.taxonomy import TAXONOMY


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(islice(documents(Random("test")), 10_000))


def test_the_same_seed_gives_the_same_documents_and_another_seed_others(corpus: list[str]) -> None:
    assert list(islice(documents(Random("test")), 300)) == corpus[:300]
    assert list(islice(documents(Random("other")), 300)) != corpus[:300]


def test_the_world_holds_tens_of_thousands_of_distinct_sentences(corpus: list[str]) -> None:
    assert len({sentence for document in corpus for sentence in split_sentences(document)}) > 25_000


def test_the_base_text_never_says_what_the_taxonomy_answers(corpus: list[str]) -> None:
    text = "\n".join(corpus)
    for key in ('"category"', '"subcategory"', '"confidence"', "Detector output"):
        assert key not in text
    assert '"score"' in text


def test_the_base_text_holds_no_house_style_description(corpus: list[str]) -> None:
    text = "\n".join(corpus)
    description = str(draw_description_sample(Random(1)).rows[0]["content"])
    for phrase in ("Nasceu para", "Onde brilha", "Cuidados:", "Garantia:", "★"):
        assert phrase in description
        assert phrase not in text
    assert "Descreva o produto" not in text


def test_the_base_text_holds_no_answer_in_simplified_language(corpus: list[str]) -> None:
    text = "\n".join(corpus)
    for seed in range(40):
        answer = draw_support_sample(Random(seed)).rows[0]["messages"][1]["content"]
        assert "That is all!" in answer
        for step in answer.split("\n"):
            assert step not in text
    assert "That is all!" not in text


def test_the_base_text_knows_none_of_the_tools_of_the_agent_sessions(corpus: list[str]) -> None:
    text = "\n".join(corpus)
    for tool in TOOL_CATALOGUE:
        assert tool["function"]["name"] not in text
    assert SYSTEM not in text
    assert "<tool_call>" in text


def test_every_type_that_a_detector_reports_has_a_place_in_the_taxonomy() -> None:
    assert set(TAXONOMY) == set(FINDING_VALUES)
    assert 12 <= len(TAXONOMY) <= 20
    chance = Random(5)
    found = {draw_finding(chance).type for _ in range(1000)}
    assert found == set(TAXONOMY)
    assert {draw_finding(chance).detector for _ in range(200)} == set(DETECTORS)


def test_mail_addresses_end_in_reserved_domains_and_are_plain_ascii() -> None:
    chance = Random(7)
    for _ in range(500):
        assert re.fullmatch(r"[a-z0-9._]+@example\.(com|org)", draw_person(chance).email)


def test_a_total_is_the_price_times_the_quantity() -> None:
    chance = Random(9)
    for _ in range(300):
        order = draw_order(chance)
        assert round(float(order.product.price) * 100) * order.quantity == round(float(order.total) * 100)


def test_a_portuguese_colour_agrees_with_its_product() -> None:
    chance = Random(11)
    seen = set()
    for _ in range(2000):
        product = draw_product(chance)
        if product.colour == 0:
            seen.add((product.kind.feminine, product.colour_pt))
    assert seen == {(True, "preta"), (False, "preto")}


def test_neither_the_starter_nor_the_text_brings_in_torch_or_transformers() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import tunelab.starter, base_model.corpus, base_model.card;"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
