"""Chat messages, tool calls and tool definitions."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunelab.conversations import Message, ToolCall
from tunelab.errors import DataError

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
WEATHER = {
    "name": "weather",
    "description": "d",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def call(arguments: object, **more: object) -> dict[str, object]:
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "weather", "arguments": arguments}, **more}],
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=6))
def test_every_plain_message_arrives_with_its_role_and_text(one, turns):
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    assert [(message.role, message.content) for message in one(row).messages] == turns


def test_developer_is_system_and_function_is_tool(one):
    roles = ["developer", "user", "assistant", "function"]
    messages = one({"messages": [{"role": role, "content": "x"} for role in roles]}).messages
    assert [message.role for message in messages] == ["system", "user", "assistant", "tool"]


def test_content_parts_are_their_text_and_reasoning_is_kept_apart(one):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (message,) = one({"messages": [{"role": "assistant", "content": parts}]}).messages
    assert (message.content, message.reasoning) == ("ab", "hm")
    for field in ("reasoning", "reasoning_content", "thinking"):
        (message,) = one({"messages": [{**ANSWER, field: "because"}]}).messages
        assert (message.content, message.reasoning) == ("hi", "because")


def test_pain_12_arguments_keep_their_order_and_nulls_as_object_and_as_json(one):
    arguments = {"z": None, "a": [1, {"c": None}], "b": "é"}
    for written in (arguments, json.dumps(arguments)):
        message = one({"messages": [USER, call(written, id="c1")]}).messages[1]
        assert message == Message(role="assistant", content=None, tool_calls=message.tool_calls)
        assert message.tool_calls == (ToolCall(name="weather", arguments=arguments, id="c1"),)
        assert list(message.tool_calls[0].arguments) == ["z", "a", "b"]


@pytest.mark.parametrize("none", [None, []])
def test_no_tool_calls_are_none(one, none):
    message = one({"messages": [USER, {**ANSWER, "tool_calls": none}], "tools": none}).messages[1]
    assert message == Message(role="assistant", content="hi")


@pytest.mark.parametrize("empty", ["", None, "{}", {}])
def test_a_call_without_arguments_has_none(one, empty):
    assert one({"messages": [USER, call(empty)]}).messages[1].tool_calls[0].arguments == {}


def test_a_tool_message_names_its_call_and_its_tool(one):
    answer = {"role": "tool", "content": "21", "tool_call_id": "c1", "name": "weather"}
    assert one({"messages": [USER, call({}), answer]}).messages[2] == Message(
        role="tool", content="21", tool_call_id="c1", name="weather"
    )


def test_content_blocks_with_tool_use_become_calls_and_tool_messages(one):
    use = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rio"}}],
    }
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21"}]}
    messages = one(
        {"messages": [USER, use, {"role": "user", "content": [result, {"type": "text", "text": "so?"}]}]}
    ).messages
    assert messages[1].tool_calls == (ToolCall(name="weather", arguments={"city": "Rio"}, id="c1"),)
    assert messages[2:] == (Message(role="tool", content="21", tool_call_id="c1"), Message(role="user", content="so?"))


OPENAI_FORM = ({"type": "function", "function": WEATHER},)


@pytest.mark.parametrize(
    "tools",
    [
        list(OPENAI_FORM),
        [WEATHER],
        json.dumps([WEATHER]),
        [{"name": "weather", "description": "d", "input_schema": WEATHER["parameters"]}],
    ],
)
def test_tools_in_every_form_become_openai_functions(one, tools):
    assert one({"messages": [USER, ANSWER], "tools": tools}).tools == OPENAI_FORM


def test_a_conversation_without_an_answer_is_left_to_the_checks(one):
    assert one({"messages": [USER]}).messages == (Message(role="user", content="hello"),)
    assert one({"messages": []}).messages == ()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            {"role": "assistent", "content": "x"},
            'message 3 has role "assistent"; expected system, user, assistant or tool. Did you mean "assistant"?',
        ),
        (
            {"role": "narrator", "content": "x"},
            'message 3 has role "narrator"; expected system, user, assistant or tool.',
        ),
        ({"content": "x"}, "message 3 has no role"),
        ({"role": 3, "content": "x"}, "message 3: role is a number"),
        ("x", "message 3 is text; expected an object"),
        ({"role": "assistant", "content": 3}, "message 3: content is a number; expected text"),
        ({"role": "assistant", "content": None}, "message 3 (assistant) has no content"),
        ({"role": "user"}, "message 3 (user) has no content"),
        (
            {"role": "user", "content": [{"type": "image_url"}]},
            'message 3: content part 1 has type "image_url"; expected text',
        ),
        (call('{"city": '), "message 3: tool call 1 (weather): arguments: broken JSON at character 10"),
        (call("[1]"), "message 3: tool call 1 (weather): arguments is a list; expected an object"),
        (call('{"x": NaN}'), "message 3: tool call 1 (weather): arguments: NaN"),
        ({"role": "assistant", "content": "", "tool_calls": "x"}, "message 3: tool_calls is text; expected a list"),
        (
            {"role": "assistant", "content": "", "tool_calls": [{"function": {}}]},
            "message 3: tool call 1: name is null",
        ),
        ({**call({}), "role": "user"}, "message 3 has tool calls and the role user"),
        ({**ANSWER, "reasoning": 3}, "message 3: reasoning is a number"),
    ],
)
def test_pain_13_a_bad_message_is_named_by_line_number_and_field(one, message, words):
    with pytest.raises(DataError) as caught:
        one({"messages": [USER, ANSWER, message]})
    assert str(caught.value).startswith(f"t.jsonl:1: {words}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": "x"}, "messages is text; expected a list"),
        ({"messages": [USER], "tools": [{"type": "function", "function": {}}]}, "tools: tool 1 has no name"),
        ({"messages": [USER], "tools": '[{"name": '}, "tools: broken JSON at character 11"),
        ({"messages": [USER], "tools": "weather"}, "tools is text; expected a list"),
        ({"messages": [USER], "system": 3}, "system is a number; expected text"),
    ],
)
def test_pain_13_a_bad_field_beside_the_messages_is_named(one, fields, words):
    with pytest.raises(DataError) as caught:
        one(fields)
    assert str(caught.value).startswith(f"t.jsonl:1: {words}")
