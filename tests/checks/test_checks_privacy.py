"""Personal data and secrets are found wherever they stand; a finding names kinds and places, never the words."""

from dataclasses import replace

import pytest
from check_contexts import chat, chats, context

from tunelab.checks.check import check
from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rules.privacy import privacy, privacy_of_tools
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.sources.row import Origin

MAIL = "jane.doe@mail.example.com"
TOKEN = "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def findings(of: CheckContext) -> dict[str, Finding]:
    return {finding.code: finding for finding in privacy(of)}


def calling(line: int, arguments: dict[str, object]) -> Conversation:
    call = Message(role="assistant", tool_calls=(ToolCall(name="send", arguments=arguments),))
    return Conversation(messages=(Message(role="user", content="go"), call), origin=Origin(path="t.jsonl", line=line))


def test_every_message_is_read_with_its_reasoning_and_its_calls() -> None:
    system = Message(role="system", content=f"You write to {MAIL}")
    thought = Message(role="assistant", content="ok", reasoning=f"mail {MAIL}")
    rows = [
        chat(1, prompt=f"write to {MAIL}"),
        chat(2, answer=f"from {MAIL}"),
        replace(chat(3), messages=(system, *chat(3).messages)),
        replace(chat(4), messages=(chat(4).messages[0], thought)),
        calling(5, {"to": [{"address": MAIL}]}),
        replace(chat(6), messages=(), text=f"so {MAIL} wrote"),
        *chats(14, first=7),
    ]
    finding = findings(context(train=rows[:10], held_out=rows[10:]))["personal_data"]
    assert (finding.severity, finding.count, finding.total) == ("warning", 6, 20)
    assert "(email in 6)" in finding.summary
    assert finding.examples[:2] == ("train.jsonl:1: message 1: email", "train.jsonl:2: message 2: email")


def test_no_word_of_personal_data_or_of_a_secret_is_in_a_finding() -> None:
    rows = [chat(1, prompt=f"{MAIL} and +14155550132 know {TOKEN}"), calling(2, {"key": TOKEN}), *chats(20, first=3)]
    found = [finding for finding in check(context(train=rows)) if finding.code in ("personal_data", "secrets")]
    assert len(found) == 2
    for finding in found:
        for word in (MAIL, "jane", "14155550132", TOKEN, TOKEN[4:12]):
            assert word not in repr(finding)


def test_kinds_are_counted_by_conversation_the_commonest_first() -> None:
    rows = [chat(1, prompt=f"{MAIL} {MAIL}"), chat(2, prompt=MAIL), chat(3, prompt="+14155550132"), *chats(9, first=4)]
    finding = findings(context(train=rows))["personal_data"]
    assert "3 of 12 conversations (25.0 %) hold personal data (email in 2, phone in 1)" in finding.summary


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        (TOKEN, "error"),
        ('password = "' + "k3J9x0QpZ7vLm2Wb" + '"', "warning"),
        ("ftp://me:" + "hunter22@host", "warning"),
    ],
)
def test_a_secret_of_a_known_shape_blocks_and_a_guessed_one_warns(text: str, severity: str) -> None:
    finding = findings(context(train=[*chats(10), chat(30, answer=f"use {text} please")]))["secrets"]
    assert (finding.severity, finding.count) == (severity, 1)


def test_a_message_that_many_rows_repeat_counts_in_each() -> None:
    shared = (Message(role="user", content=f"from {MAIL}"), Message(role="assistant", content="hello"))
    rows = [replace(item, messages=(*shared, *item.messages)) for item in chats(30)]
    assert findings(context(train=rows))["personal_data"].count == 30


def test_a_tool_whose_definition_holds_something_is_named_once_and_its_words_are_not() -> None:
    tools = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": {}}}
        for name, text in (("find", f'ask "{MAIL}"'), ("send", f"with {TOKEN}"), (MAIL, "odd"), ("rest", "nothing"))
    ]
    rows = [replace(item, tools=tuple(tools)) for item in chats(20)]
    found = {finding.code: finding for finding in check(context(train=rows))}
    mails, secrets = found["personal_data"], found["secrets"]
    assert mails.examples == ("train.jsonl:1: tool find: email", "train.jsonl:1: tool 3: email")
    assert secrets.examples == ("train.jsonl:1: tool send: source_host_token",)
    assert (secrets.severity, secrets.count, secrets.total) == ("warning", 1, 4)
    assert not any(word in repr((mails, secrets)) for word in (MAIL, TOKEN, TOKEN[4:12]))
    assert list(privacy_of_tools(context(train=chats(3)))) == []


def test_clean_rows_and_no_rows_have_no_finding() -> None:
    assert findings(context()) == {}
    assert findings(context(train=[])) == {}
