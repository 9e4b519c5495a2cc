"""What a chat template cannot do is told with the number of conversations that it concerns."""

from dataclasses import replace

import pytest
from check_contexts import a_set, chat, chats, context

from tunelab.checks.check import check
from tunelab.checks.finding import Finding
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.rendered import Remark
from tunelab.rendering.template_errors import CONTINUATION
from tunelab.rendering.template_messages import Abilities

ALL = Abilities(system=True, tools=True, tool_calls=True, end_of_turn=("<|im_end|>",))
TOOL = {"type": "function", "function": {"name": "look"}}


def with_system(line: int) -> Conversation:
    return replace(chat(line), messages=(Message(role="system", content="be brief"), *chat(line).messages))


def with_call(line: int) -> Conversation:
    call = Message(role="assistant", tool_calls=(ToolCall(name="look", arguments={}),))
    return replace(chat(line), messages=(Message(role="user", content=f"{line}?"), call), tools=(TOOL,))


def findings(abilities: Abilities | None, **fields: object) -> dict[str, Finding]:
    settings = {"train": [*chats(20), with_system(21), with_call(22)], **fields}
    return {each.code: each for each in check(context(template=abilities, **settings))}


def test_a_template_that_knows_all_is_no_finding() -> None:
    assert not findings(ALL)
    assert not findings(None)


@pytest.mark.parametrize(
    ("lacking", "code", "place"),
    [
        ({"system": False}, "system_role_unsupported", "train.jsonl:21"),
        ({"tools": False}, "tools_in_words", "train.jsonl:22"),
        ({"tool_calls": False}, "tools_in_words", "train.jsonl:22"),
    ],
)
def test_what_it_cannot_write_is_a_note_where_rows_have_it(lacking: dict[str, bool], code: str, place: str) -> None:
    abilities = replace(ALL, **lacking)  # type: ignore[arg-type]
    (finding,) = findings(abilities).values()
    assert (finding.code, finding.severity, finding.count, finding.total) == (code, "note", 1, 22)
    assert finding.examples == (place,)
    assert not findings(abilities, train=chats(20))


def test_a_template_that_ends_no_answer_and_a_model_without_one_are_told() -> None:
    endless = replace(ALL, end_of_turn=())
    assert findings(endless)["end_of_turn_added"].count == 22
    bare = findings(endless, has_template=False)
    assert bare["no_chat_template"].severity == "warning"
    assert "end_of_turn_added" not in bare


def test_pain_10_an_answer_that_the_generation_prompt_opens_otherwise_is_a_finding_of_its_own() -> None:
    torn = DataError("the template opens <think>", where="train.jsonl:3: message 2", expected=CONTINUATION)
    refused = DataError("the chat template refuses", where="train.jsonl:4: message 2")
    found = findings(ALL, bad_turns=(torn, refused))
    assert found["generation_prompt_mismatch"].examples[0].startswith("train.jsonl:3")
    assert found["unrenderable_turn"].examples[0].startswith("train.jsonl:4")
    assert {found[code].severity for code in ("generation_prompt_mismatch", "unrenderable_turn")} == {"error"}
    waved = findings(ALL, bad_turns=(torn,), skips_bad_rows=True)["generation_prompt_mismatch"]
    assert waved.severity == "note"


@pytest.mark.parametrize(
    ("own", "severity", "count", "advice"),
    [
        ({"own_system_silenced": True}, "warning", 21, 'data.system_prompt: ""'),
        ({"keeps_own_system": True}, "note", 22, "does not take it away"),
    ],
)
def test_a_system_text_that_the_template_writes_by_itself_is_counted_with_what_takes_it_away(
    own: dict[str, bool], severity: str, count: int, advice: str
) -> None:
    abilities = replace(ALL, own_system="You are Lampbot.", **own)  # type: ignore[arg-type]
    finding = findings(abilities)["system_prompt_added"]
    assert (finding.severity, finding.count, finding.total) == (severity, count, 22)
    assert '"You are Lampbot."' in finding.summary
    assert advice in finding.remedy
    every = findings(abilities, train=chats(20))["system_prompt_added"]
    assert (every.severity, every.count) == ("note", 20)


def test_a_message_that_the_template_leaves_out_is_named_with_its_role() -> None:
    remark = Remark(origin=with_system(21).origin, turn=0, kind="turn left out")
    finding = findings(ALL, rendered_train=a_set([], remarks=(remark,)))["turn_left_out"]
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 22)
    assert finding.examples == ("train.jsonl:21: message 1 (system)",)
