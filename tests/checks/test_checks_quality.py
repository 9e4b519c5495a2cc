"""How texts read: each oddity is found where it is, counted, and settled by its threshold."""

from dataclasses import replace

import pytest
from check_contexts import chat, chats, context

from tunelab.checks.check import check
from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rules.quality import damaged_texts, languages, odd_answers
from tunelab.conversations.conversation import Conversation, Message

LONG = "The order was sent yesterday and will arrive at your address within three days from now on, all being well. "


def findings(of: CheckContext) -> dict[str, Finding]:
    return {finding.code: finding for rule in (damaged_texts, odd_answers, languages) for finding in rule(of)}


def among(answers: list[str], *, others: int = 40, prompt: str = "", **settings: object) -> CheckContext:
    odd = [chat(line, prompt=prompt, answer=answer) for line, answer in enumerate(answers, start=101)]
    rows = [chat(line, answer=f"{LONG}{line}") for line in range(1, others + 1)]
    return context(train=[*rows, *odd], config=ChecksConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "answer", "severity"),
    [
        ("mojibake", "Das war ein schÃ¶ner Tag fÃ¼r uns alle.", "warning"),
        ("html_remains", "<p>Hello there, my friend</p>", "note"),
        ("control_characters", "Hello\u200b there, my friend", "note"),
        ("boilerplate", "As an AI language model, I have no body.", "note"),
        ("refusal", "I'm sorry, but I can't help with this.", "note"),
        ("repetition", "I do not know that. " * 20, "note"),
        ("answer_too_short", "yes", "note"),
    ],
)
def test_each_oddity_of_an_answer_is_found_with_its_place(code: str, answer: str, severity: str) -> None:
    found = findings(among([answer], language_sample=0))
    assert list(found) == [code]
    assert (found[code].severity, found[code].count, found[code].total) == (severity, 1, 41)
    assert found[code].examples == ("train.jsonl:101: message 2",)


@pytest.mark.parametrize(
    "answer", ["As an AI language model, I cannot.", "I'm sorry, but I can't help with this.", "<br>no<br>"]
)
def test_odd_answers_are_a_warning_above_the_share_that_is_set(answer: str) -> None:
    rows = [f"{answer} {number}" for number in range(10)]
    few, many = (findings(among(rows, language_sample=0, max_odd=share)) for share in (0.2, 0.19))
    assert {finding.severity for finding in few.values()} == {"note"}
    assert {finding.severity for finding in many.values()} == {"warning"}


def test_html_in_a_conversation_about_html_is_no_remains() -> None:
    assert findings(among(["<p>Hello</p>"], prompt="Write a paragraph in HTML", language_sample=0)) == {}


def test_the_share_of_repetition_is_settled_by_its_threshold() -> None:
    half = " ".join(f"word{number % 30}" for number in range(60))  # 27 of its 57 runs of four words stood there before
    assert "repetition" not in findings(among([half], language_sample=0))
    assert "repetition" in findings(among([half], language_sample=0, max_repetition=0.4))


def test_short_answers_are_odd_among_long_ones_only() -> None:
    labels = [chat(line, answer=["yes", "no"][line % 2]) for line in range(1, 60)]
    assert "answer_too_short" not in findings(context(train=labels))
    assert "answer_too_short" not in findings(among(["yes"], min_answer_chars=3, language_sample=0))


def test_an_answer_that_gives_back_its_question_is_found() -> None:
    question = "Please write down everything that happened on that day."
    found = findings(among([question], prompt=question, language_sample=0))
    assert found["answer_copies_prompt"].examples == ("train.jsonl:101: message 2",)


def test_only_trained_answers_are_judged_as_answers() -> None:
    refusal = "I'm sorry, but I can't help with this."
    first = Message(role="assistant", content=refusal)
    rows = [replace(item, messages=(item.messages[0], first, *item.messages), train="last") for item in chats(12)]
    assert "refusal" not in findings(context(train=rows))
    assert "refusal" in findings(context(train=[replace(item, train="all") for item in rows]))


GERMAN = "Die Bestellung wurde gestern verschickt und kommt in drei Tagen an Ihrer Adresse an."


def test_answers_in_another_language_are_told_with_their_share() -> None:
    found = findings(among([GERMAN] * 10))
    assert set(found) == {"language_mix"}
    assert found["language_mix"].summary.startswith("10 of 50 answers (20.0 %)")
    assert "en 80.0 %, de 20.0 %" in found["language_mix"].summary
    assert found["language_mix"].examples[0] == "train.jsonl:101: message 2: de"


def test_an_answer_in_another_language_than_its_question_is_found() -> None:
    found = findings(among([GERMAN], prompt="When will the order arrive at my address, please?", others=120))
    assert found["answer_language"].examples == ("train.jsonl:101: message 2: de answers en",)
    assert "language_mix" not in found  # one in a hundred is a quotation


def test_of_many_answers_a_sample_is_asked_for_its_language_and_none_where_none_is_wanted() -> None:
    some = findings(among([GERMAN] * 10, language_sample=25))
    assert "(a sample)" in some["language_mix"].summary
    assert some["language_mix"].total == 25
    assert findings(among([GERMAN] * 10, language_sample=0)) == {}


def test_clean_rows_plain_texts_and_no_rows_have_no_finding() -> None:
    texts = [Conversation(text=f"{LONG} {line}", origin=chat(line).origin) for line in range(1, 20)]
    assert findings(context()) == findings(context(train=[])) == findings(context(train=texts)) == {}
    assert not [code for code in check(among([LONG])).codes() if code in ("mojibake", "repetition", "language_mix")]
