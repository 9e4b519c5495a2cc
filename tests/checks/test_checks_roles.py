"""The order of roles, and messages without words."""

import pytest
from check_contexts import chats, context

from tunelab.checks.check import check
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.sources.row import Origin

LETTERS = {"s": "system", "u": "user", "a": "assistant"}


def talk(roles: str, *, content: str = "so") -> Conversation:
    messages = [Message(role=LETTERS[letter], content=content) for letter in roles]  # type: ignore[arg-type]
    return Conversation(messages=tuple(messages), origin=Origin(path="talk.jsonl", line=3))


def codes(*conversations: Conversation) -> tuple[str, ...]:
    return check(context(train=[*chats(20), *conversations])).codes()


@pytest.mark.parametrize("roles", ["ua", "sua", "uaua", "suaua"])
def test_questions_and_answers_in_turn_are_no_finding(roles: str) -> None:
    assert codes(talk(roles)) == ()


@pytest.mark.parametrize(
    ("roles", "code", "number"),
    [
        ("uua", "role_repeated", 2),
        ("uaa", "role_repeated", 3),
        ("aua", "assistant_first", 1),
        ("saua", "assistant_first", 2),
        ("uasua", "system_in_middle", 3),
        ("ssua", "system_in_middle", 2),
        ("uau", "ends_unanswered", 3),
    ],
)
def test_each_disorder_is_found_once_with_its_message(roles: str, code: str, number: int) -> None:
    (finding,) = check(context(train=[*chats(20), talk(roles)]))
    assert (finding.code, finding.count, finding.total) == (code, 1, 21)
    assert finding.examples == (f"talk.jsonl:3: message {number}",)


def test_a_question_without_words_is_found_and_an_empty_answer_stays_a_finding_of_its_own() -> None:
    empty = Conversation(
        messages=(Message(role="user", content=" \n"), Message(role="assistant", content="so")),
        origin=Origin(path="talk.jsonl", line=3),
    )
    assert codes(empty) == ("empty_message",)


def test_an_answer_behind_a_call_is_told_of_as_a_call_without_result_alone() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(name="look", arguments={}),))
    messages = (Message(role="user", content="so"), call, Message(role="assistant", content="so"))
    told = codes(Conversation(messages=messages, origin=Origin(path="talk.jsonl", line=3)))
    assert "tool_call_without_result" in told
    assert "role_repeated" not in told


def test_plain_text_has_no_roles() -> None:
    text = Conversation(text="once", origin=Origin(path="a.txt", line=1))
    assert codes(text) == ()
