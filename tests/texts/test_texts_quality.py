"""Damage, remains, stock phrases, loops and copies are seen; clean text of many languages is left alone."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.texts.quality import PATTERNS, Oddity, contains, copies, repetition

CLEAN = [
    "He went to the café… “Voilà,” she said – “it’s £5, or 6 €, at 20 °C.”",
    "« Là » dit-il : « à « la » gare », l’été où l’œuvre fut achevée…",
    "NÃO HÁ MAÇÃ… “AMANHÃ” — A IRMÃ » SÃO PAULO",
    "ÄÖÜ: Straße, Öl, “HYVÄ” … „Ärger“, SCHÖN™, GRÖSSE² und Ä°",
    "El niño pequeño preguntó: ¿qué año? «CORAZÓN» ¡OLÉ!…”",
    "Zażółć gęślą jaźń; Příliš žluťoučký kůň; İstanbul’da ığdır",
    "Съешь ещё этих мягких французских булок; Ελληνικά, καλημέρα; שלום עולם; مرحبا بالعالم",
    "你好，世界。こんにちは、世界。안녕하세요 세계 ไทย हिन्दी Tiếng Việt ắ ề ỗ",
    "Þórður, ÆÐI, Ísland, Ærø, Åse™, à la carte, β², ½ © ® ™",
    "👍🏽 👨‍👩‍👧 emoji, mixed\ttabs\r\nand lines",
]
DAMAGED = [
    "café", "señor", "Größe", "à la carte", "naïve", "it’s", "“quoted”", "5 €", "20 °C", "£5", "• item",
    "a – b", "Привет", "καλημέρα", "שלום", "مرحبا", "zażółć", "žluťoučký", "ığdır",
    "你好世界", "こんにちは", "안녕하세요", "สวัสดี", "नमस्ते", "👍 ok", "→ ✓",
    "ÉTÉ", "NÃO", "São",
]  # fmt: skip


def read_wrongly(text: str, encoding: str) -> str:
    """Return UTF-8 bytes read as another encoding; bytes that Windows leaves empty become controls, as in browsers."""
    return "".join(
        bytes([byte]).decode(encoding, errors="ignore") or bytes([byte]).decode("latin-1") for byte in text.encode()
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", DAMAGED)
def test_utf8_read_as_another_encoding_is_seen(text: str, encoding: str) -> None:
    damaged = f"so {read_wrongly(text, encoding)} it is"
    assert damaged != f"so {text} it is"
    assert contains([damaged, read_wrongly(text, encoding)], "mojibake").tolist() == [True, True]


@pytest.mark.parametrize("text", [*CLEAN, *DAMAGED])
def test_clean_text_of_many_languages_is_not_called_damaged(text: str) -> None:
    assert re.search(PATTERNS["mojibake"], text) is None
    assert not contains([text], "mojibake")[0]


@pytest.mark.parametrize(
    ("oddity", "text"),
    [
        ("mojibake", "lost \ufffd on the way"),
        ("html", "first line<br>second"),
        ("html", "<p>hello</p>"),
        ("html", 'see <a href="x">here</a> and <DIV class="x">'),
        ("html", "fish&nbsp;&amp; chips"),
        ("control_characters", "a\x00b"),
        ("control_characters", "\x1b[31mred"),
        ("control_characters", "zero\u200bwidth"),
        ("control_characters", "evil \u202e txt"),
        ("boilerplate", "Well, as an AI language model, I think"),
        ("boilerplate", "I’m just an AI assistant."),
        ("boilerplate", "Como um modelo de linguagem, não posso"),
        ("refusal", "I'm sorry, but I can't do this."),
        ("refusal", "  I cannot assist with that."),
        ("refusal", "Lo siento, pero no puedo"),
    ],
)
def test_each_oddity_is_seen(oddity: Oddity, text: str) -> None:
    assert contains(["nothing here", text], oddity).tolist() == [False, True]


@pytest.mark.parametrize(
    ("oddity", "text"),
    [
        ("html", "if a <b and c> d then x < p"),
        ("html", "The HTML tag <br> breaks a line"),
        ("html", "```\n<div>hello</div>\n```"),
        ("html", "List<String> names, a & b"),
        ("control_characters", "tab\tline\r\njoined 👨‍👩‍👧 می‌خواهم"),
        ("boilerplate", "As an airline we fly. The AI model was trained. As an assistant cook"),
        ("refusal", "He said: I'm sorry, I can't help."),
        ("refusal", "I can't believe how good this is"),
        ("refusal", "Sorry for the delay! Here it is."),
    ],
)
def test_what_only_looks_odd_is_left_alone(oddity: Oddity, text: str) -> None:
    assert contains([text], oddity).tolist() == [False]


def test_every_oddity_is_tried_on_clean_text() -> None:
    for oddity in PATTERNS:
        assert not contains(CLEAN, oddity).any(), oddity


ODD = "Ã©â€™ðŸï»¿<br>&nbsp; as an AI I'm sorry, I can't help\x00\u200b\ufffdÂ°Ð¿Ð ä½\xa0å¥½AÃ…"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet=sorted(set(ODD)), max_size=30) | st.sampled_from([ODD, *CLEAN]), max_size=4))
def test_rust_and_python_read_the_patterns_alike(texts: list[str]) -> None:
    for pattern in PATTERNS.values():
        scanned = pl.Series(texts, dtype=pl.String).str.contains(pattern).to_list()
        assert scanned == [re.search(pattern, text) is not None for text in texts]


def test_the_share_of_repeated_runs_is_that_of_counting_them() -> None:
    def counted(text: str) -> float:
        words = text.lower().split()
        runs = [tuple(words[place : place + 4]) for place in range(len(words) - 3)]
        return 1 - len(set(runs)) / len(runs)

    texts = [
        "i do not know " * 30,
        " ".join(f"word{number}" for number in range(100)),
        " ".join(f"word{number % 60}" for number in range(100)),
        "short and short and short and short and",
        "",
    ]
    assert repetition(texts).tolist() == pytest.approx([counted(texts[0]), 0, counted(texts[2]), 0, 0])
    assert repetition(texts)[0] > 0.9
    assert len(repetition([])) == 0


def test_an_answer_that_gives_back_its_prompt_is_a_copy() -> None:
    prompt = "What is the capital of France, and since when?"
    assert copies(prompt, prompt)
    assert copies(f"Sure.  {prompt.upper()}\n", prompt)
    assert not copies("Paris, since 987.", prompt)
    assert not copies(f"{prompt} {'The capital of France is Paris. ' * 3}", prompt)
    assert not copies("Translate: yes", "Translate: yes")
    assert not copies("", "")
