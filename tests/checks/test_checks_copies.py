"""Rows that nearly repeat others are found with how alike they are; copies, sessions and frames are not called near."""

from dataclasses import replace
from random import Random

from check_contexts import chat, context

from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rules.near_duplicates import near_copies
from tunelab.conversations.conversation import Conversation, Message


def findings(of: CheckContext) -> dict[str, Finding]:
    return {finding.code: finding for finding in near_copies(of)}


def words(seed: int, count: int = 50) -> str:
    return " ".join(f"word{number}" for number in Random(seed).sample(range(5000), count))


def rows(count: int, *, first: int = 1, path: str = "train.jsonl") -> list[Conversation]:
    return [chat(line, words(line), words(-line), path=path) for line in range(first, first + count)]


def test_a_row_that_nearly_repeats_another_is_found_with_both_places_and_how_alike_they_are() -> None:
    near = chat(99, words(3) + " please", words(-3))
    found = findings(context(train=[*rows(20), near]))
    assert list(found) == ["near_duplicates"]
    finding = found["near_duplicates"]
    assert (finding.severity, finding.count, finding.total) == ("note", 1, 21)
    assert finding.examples == ("train.jsonl:99 is nearly train.jsonl:3 (0.91)",)
    assert "0.8 or more" in finding.summary


def test_how_alike_rows_have_to_be_is_settled_by_the_threshold() -> None:
    near = chat(99, words(3) + " please", words(-3))
    assert findings(context(train=[*rows(20), near], config=ChecksConfig(near_threshold=0.92))) == {}


def test_many_near_duplicates_are_a_warning() -> None:
    near = [chat(100 + line, words(line) + " please", words(-line)) for line in range(1, 5)]
    assert findings(context(train=[*rows(20), *near]))["near_duplicates"].severity == "warning"
    mild = ChecksConfig(max_odd=0.2)
    assert findings(context(train=[*rows(20), *near], config=mild))["near_duplicates"].severity == "note"


def test_a_copy_word_for_word_is_not_called_near() -> None:
    copy = chat(99, words(3), words(-3))
    assert findings(context(train=[*rows(20), copy])) == {}


def test_rows_of_one_session_are_not_called_near() -> None:
    messages = [Message(role=("user", "assistant")[place % 2], content=words(place)) for place in range(12)]
    calls = [
        replace(chat(line), messages=tuple(messages[: 2 * line]), session_id="s", train="last") for line in range(1, 7)
    ]
    assert findings(context(train=calls)) == {}
    assert findings(context(train=[replace(call, session_id=None) for call in calls])) == {}
    others = [replace(call, session_id=str(number)) for number, call in enumerate(calls)]
    assert "near_duplicates" in findings(context(train=others))


def test_a_system_prompt_or_an_instruction_that_rows_share_makes_none_of_them_alike() -> None:
    system = Message(role="system", content=words(1, 300))
    with_system = [replace(item, messages=(system, *item.messages)) for item in rows(15)]  # too few for a frame
    assert findings(context(train=with_system)) == {}
    instructed = [chat(line, f"{words(2, 80)} {words(line, 8)}", "fine") for line in range(3, 43)]
    assert findings(context(train=instructed)) == {}


def test_a_held_out_row_that_asks_nearly_what_a_training_row_asks_is_found() -> None:
    held_out = [*rows(4, first=200, path="test.jsonl"), chat(9, words(5) + "?! now", words(77), path="test.jsonl")]
    finding = findings(context(train=rows(20), held_out=held_out))["near_overlap"]
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 5)
    assert finding.examples == ("test.jsonl:9 is nearly train.jsonl:5 (0.98)",)
    allowed = ChecksConfig(max_overlap=0.2)
    assert findings(context(train=rows(20), held_out=held_out, config=allowed))["near_overlap"].severity == "note"


def test_a_question_that_stands_on_both_sides_word_for_word_has_a_finding_of_its_own() -> None:
    held_out = [chat(9, words(5), words(77), path="test.jsonl")]
    assert findings(context(train=rows(20), held_out=held_out)) == {}


def test_few_rows_short_rows_and_no_rows_have_no_finding() -> None:
    assert findings(context()) == findings(context(train=[])) == findings(context(train=rows(1))) == {}
