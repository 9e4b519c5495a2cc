"""Each shape of rows becomes the same messages."""

import json

import pytest

from tunelab.conversations import FORMATS, Message, ToolCall
from tunelab.errors import DataError, RecipeError
from tunelab.sources import Origin, Row

EXCHANGE = (Message(role="user", content="q"), Message(role="assistant", content="a"))
CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
TOOL = {"name": "f", "description": "d", "parameters": {}}
ROWS = {
    "messages": {"messages": CHAT},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "prompt_completion": {"prompt": "q", "completion": "a"},
    "instruction": {"instruction": "q", "input": "", "output": "a"},
    "input_output": {"input": "q", "output": "a"},
    "session": {"request": {"system": None, "tools": None, "messages": CHAT[:1]}, "response": "a"},
    "query_response": {"query": "q", "response": "a"},
}


@pytest.mark.parametrize("name", ROWS)
def test_each_shape_is_recognised_and_gives_the_same_exchange(understand, name):
    found = understand(ROWS[name])
    assert found.format == name
    assert found.items[0].messages == EXCHANGE
    assert found.items[0].origin == Origin(path="t.jsonl", line=1)
    assert found.evidence.startswith(f"{name}: 1 of the first 1 row has ")
    assert understand(ROWS[name], format=name).items == found.items


@pytest.mark.parametrize("name", [name for name in ROWS if name != "session"])
def test_system_tools_and_session_beside_any_shape_are_honoured(understand, name):
    conversation = understand({**ROWS[name], "system": "s", "tools": [TOOL], "session_id": 7}).items[0]
    assert conversation.messages == (Message(role="system", content="s"), *EXCHANGE)
    assert conversation.tools == ({"type": "function", "function": TOOL},)
    assert conversation.session_id == "7"


def test_every_format_of_the_settings_is_registered_once():
    assert sorted(format.name for format in FORMATS) == sorted([*ROWS, "table", "text"])


def test_messages_under_the_name_conversations_are_messages(understand):
    found = understand({"conversations": CHAT})
    assert (found.format, found.items[0].messages) == ("messages", EXCHANGE)


def test_from_and_value_under_the_name_messages_are_sharegpt(understand):
    found = understand({"messages": ROWS["sharegpt"]["conversations"]})
    assert (found.format, found.items[0].messages) == ("sharegpt", EXCHANGE)


def test_sharegpt_function_calls_and_observations_become_calls_and_tool_messages(one):
    call = {"name": "f", "arguments": {"b": 1, "a": None}}
    turns = [("system", "s"), ("human", "q"), ("function_call", json.dumps(call)), ("observation", "o"), ("gpt", "a")]
    row = {"conversations": [{"from": speaker, "value": said} for speaker, said in turns], "tools": json.dumps([TOOL])}
    conversation = one(row)
    assert [message.role for message in conversation.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert conversation.messages[2].tool_calls == (ToolCall(name="f", arguments=call["arguments"]),)
    assert conversation.tools[0]["function"] == TOOL
    two = one(
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": json.dumps([call, call])},
            ]
        }
    )
    assert len(two.messages[1].tool_calls) == 2


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (
            {"from": "gptt", "value": "x"},
            'message 2 is from "gptt"; expected human, gpt, system, function_call or observation. Did you mean "gpt"?',
        ),
        ({"from": "gpt", "value": None}, "message 2 (assistant) has no value; expected text, or tool calls"),
        ({"from": "function_call", "value": '{"name": '}, "message 2: tool call 1: broken JSON at character"),
        ({"from": "function_call", "value": "f()"}, "message 2: tool call 1 is text; expected an object"),
    ],
)
def test_a_bad_turn_of_sharegpt_is_named(one, turn, words):
    with pytest.raises(DataError) as caught:
        one({"conversations": [{"from": "human", "value": "q"}, turn]})
    assert str(caught.value).startswith(f"t.jsonl:1: {words}")


def test_instruction_takes_input_system_and_history(one):
    row = {"instruction": "i", "input": "x", "output": "a", "system": "s", "history": [["q1", "a1"], ["q2", "a2"]]}
    said = [(message.role, message.content) for message in one(row).messages]
    assert said == [
        ("system", "s"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "i\n\nx"),
        ("assistant", "a"),
    ]
    assert one({"instruction": "i", "input": None, "output": "a", "history": None}).messages[0].content == "i"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"instruction": "i", "output": None}, "output is null; expected text"),
        ({"instruction": "i", "output": "a", "history": [["q"]]}, "history: turn 1 has 1 entries"),
        ({"input": {"x": 1}, "output": "a"}, "input is an object; expected text"),
        ({"prompt": "q", "completion": 3}, "completion is a number; expected text"),
        ({"request": 3, "response": "a"}, "request is a number; expected an object"),
        ({"request": {}, "response": "a"}, "request: messages is null; expected a list"),
        ({"request": {"messages": [{"role": "usr"}]}, "response": "a"}, 'request: message 1 has role "usr"'),
        ({"request": {"messages": []}, "response": None}, "response is null; expected text, or an assistant message"),
        ({"request": {"messages": []}, "response": CHAT[0]}, "response has the role user; expected assistant"),
    ],
)
def test_pain_13_a_field_of_the_wrong_type_is_named(one, row, words):
    with pytest.raises(DataError) as caught:
        one(row)
    assert str(caught.value).startswith(f"t.jsonl:1: {words}")


def test_prompt_and_completion_may_be_messages_and_only_the_completion_is_trained(one):
    plain = one({"prompt": CHAT[:1], "completion": CHAT[1:]})
    assert (plain.messages, plain.train) == (EXCHANGE, "all")
    behind = one({"prompt": [*CHAT, CHAT[0]], "completion": CHAT[1:]})
    assert (behind.messages, behind.train) == (EXCHANGE * 2, "last")
    with pytest.raises(DataError, match="completion holds 2 assistant messages after a prompt that has its own"):
        one({"prompt": CHAT, "completion": [{**CHAT[0], "content": "another"}, CHAT[1], CHAT[0], CHAT[1]]})


def test_a_session_line_trains_its_response_only_and_keeps_system_tools_and_session(one):
    request = {"system": "s", "tools": [TOOL], "messages": [*CHAT, CHAT[0]]}
    call = {"content": None, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}
    conversation = one({"session_id": "s1", "request": request, "response": call})
    assert [message.role for message in conversation.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert conversation.messages[-1] == Message(
        role="assistant", tool_calls=(ToolCall(name="f", arguments={}, id="c1"),)
    )
    assert (conversation.train, conversation.session_id, len(conversation.tools)) == ("last", "s1", 1)
    assert one({"request": request, "response": "a"}).session_id is None


def test_plain_text_is_text_and_has_no_messages(understand):
    found = understand("a paragraph", {"text": "another"})
    assert found.format == "text"
    assert [(item.text, item.messages) for item in found.items] == [("a paragraph", ()), ("another", ())]
    assert understand("a paragraph", system_prompt="s").items[0].messages == ()


def test_a_table_is_filled_into_its_templates(one):
    templates = {"prompt_template": "Descreva {title} {{x}} ({price}, {tags}):", "completion_template": "{content}"}
    row = {"title": "Café", "content": "{title}", "price": 1.5, "tags": ["a", None], "system": 3, "tools": "hammer"}
    said = [(message.role, message.content) for message in one(row, **templates).messages]
    assert said == [("user", 'Descreva Café {x} (1.5, ["a", null]):'), ("assistant", "{title}")]


@pytest.mark.parametrize(
    ("row", "prompt", "words"),
    [
        ({"title": None}, "{title}", 'the column "title" is null'),
        ({"title": float("nan")}, "{title}", 'the column "title" is nan'),
    ],
)
def test_a_template_reaches_columns_that_have_a_value_and_nothing_else(one, row, prompt, words):
    with pytest.raises(DataError) as caught:
        one(row, prompt_template=prompt, completion_template="x")
    assert words in str(caught.value)
    assert str(caught.value).startswith("t.jsonl:1: ")


@pytest.mark.parametrize(
    ("prompt", "column", "remedy"),
    [
        ("{titel}", "titel", 'Did you mean "title"? Write a brace'),
        ('{"a": {title}}', '"a": {title}', "Write a brace that is text twice"),
        ("{title.__class__}", "title.__class__", ""),
        ("{title!r}", "title!r", ""),
        ("{title:>9}", "title:>9", ""),
    ],
)
def test_a_column_that_no_row_has_is_told_once_with_the_columns_there_are(understand, prompt, column, remedy):
    with pytest.raises(RecipeError) as caught:
        understand(*[{"title": "x", "price": 1}] * 23, prompt_template=prompt, completion_template="x")
    assert caught.value.where == "data.prompt_template"
    assert f'names the column "{column}", which no row has; expected one of title, price.' in str(caught.value)
    assert remedy in str(caught.value)


def test_a_column_that_one_row_lacks_is_that_rows_fault(understand):
    bad: list[DataError] = []
    understand({"title": "x"}, {"price": 1}, prompt_template="{title}", completion_template="x", bad=bad)
    assert [error.where for error in bad] == ["t.jsonl:2"]


def test_a_table_without_one_of_its_templates_is_told_what_to_set(one):
    row = {"title": "x", "content": "y"}
    with pytest.raises(RecipeError, match=r"^data\.completion_template: the table has the columns title, content"):
        one(row, prompt_template="{title}")
    with pytest.raises(RecipeError, match=r"^data\.prompt_template: "):
        one(row, format="table", completion_template="{content}")
    with pytest.raises(RecipeError, match=r"^data\.prompt_template: the template is broken"):
        one(row, prompt_template="{title", completion_template="x")
    with pytest.raises(RecipeError, match=r"^data\.format: data\.prompt_template is for tables"):
        one(ROWS["messages"], format="messages", prompt_template="x")


def test_every_format_says_what_it_recognises_and_refuses_the_empty_row():
    empty = Row(value={}, origin=Origin(path="t.jsonl", line=1))
    assert not any(format.recognises(empty) for format in FORMATS)
    assert all(format.shape for format in FORMATS)


@pytest.mark.parametrize("settings", [{}, {"format": "messages"}])
def test_the_evidence_says_that_only_the_response_next_to_messages_is_trained(understand, settings):
    found = understand({"messages": [*CHAT, CHAT[0]], "response": "a"}, **settings)
    assert found.items[0].train == "last"
    assert 'a "response" lies next to the list, it alone is trained, and no answer in the list' in found.evidence
    assert "response" not in understand({"messages": CHAT, "response": None}, **settings).evidence
