"""Rows as other tools and APIs write them become the same conversations."""

import json

import pytest

from tunelab.conversations import Message, ToolCall
from tunelab.errors import DataError

Q, A = Message(role="user", content="q"), Message(role="assistant", content="a")
S = Message(role="system", content="s")
CALL = ToolCall(name="f", arguments={"x": 1}, id="c1")
USER = {"role": "user", "content": "q"}


@pytest.mark.parametrize("name", ["system", "system_prompt", "instructions"])
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "completion": "a"},
        {"instruction": "q", "output": "a"},
        {"input": "q", "output": "a"},
        {"query": "q", "response": "a"},
        {"user": "q", "assistant": "a"},
        {"messages": [USER, {"role": "assistant", "content": "a"}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    ],
)
def test_a_system_prompt_is_read_under_each_of_its_names(one, row, name):
    assert one({**row, name: "s"}).messages == (S, Q, A)
    assert one({"request": {"messages": [USER], name: "s"}, "response": "a"}).messages == (S, Q, A)


def test_two_fields_with_different_system_prompts_are_refused(one):
    row = {"prompt": "q", "completion": "a", "system": "s", "instructions": "t"}
    with pytest.raises(DataError, match='one system prompt in the field "system" and another in "instructions"'):
        one(row)
    assert one({**row, "instructions": "s"}).messages == (S, Q, A)
    assert one(row, system_prompt="u").messages[0].content == "u"


@pytest.mark.parametrize(
    "past", [[["q", "a"]], json.dumps([["q", "a"]]), [USER, {"role": "assistant", "content": "a"}]]
)
@pytest.mark.parametrize("names", [("prompt", "completion"), ("instruction", "output"), ("query", "response")])
def test_a_history_is_read_before_the_question(one, names, past):
    question, answer = names
    assert one({question: "q", answer: "a", "history": past}).messages == (Q, A, Q, A)
    assert one({question: "q", answer: "a", "history": ""}).messages == (Q, A)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "q", "context": "more", "response": "a"},
        {"instruction": "q", "input": "more", "output": "a"},
        {"prompt": "q", "query": "more", "response": "a"},
    ],
)
def test_context_and_three_columns_make_one_question(one, row):
    assert one(row).messages == (Message(role="user", content="q\n\nmore"), A)


def test_two_answers_in_one_row_are_refused(one):
    with pytest.raises(DataError, match="output and response are two answers"):
        one({"instruction": "q", "output": "a", "response": "b"})


def test_a_response_next_to_messages_is_their_last_answer_and_alone_is_trained(one):
    found = one({"messages": [USER, {"role": "assistant", "content": "a"}, USER], "response": "a"})
    assert (found.messages, found.train) == ((Q, A, Q, A), "last")
    with pytest.raises(DataError, match="messages ends with an answer, and response holds another"):
        one({"messages": [USER, {"role": "assistant", "content": "a"}], "response": "b"})


def test_sharegpt_takes_reasoning_calls_and_a_call_for_each_role(one):
    turns = [
        {"from": "human", "value": "q"},
        {"from": "gpt", "value": "let me see", "reasoning": "hm", "tool_calls": [{"name": "f", "arguments": "{}"}]},
        {"from": "tool", "value": "r", "name": "f"},
        {"from": "gpt", "value": "a"},
    ]
    found = one({"conversations": turns}).messages
    call = ToolCall(name="f", arguments={})
    assert found[1] == Message(role="assistant", content="let me see", reasoning="hm", tool_calls=(call,))
    assert found[2] == Message(role="tool", content="r", name="f")


def test_messages_take_the_role_of_a_call_and_of_its_result(one):
    turns = [USER, {"role": "tool_call", "content": '{"name": "f", "arguments": {"x": 1}}'}]
    found = one({"messages": [*turns, {"role": "tool_response", "content": "r"}]}).messages
    assert found[1].tool_calls == (ToolCall(name="f", arguments={"x": 1}),)
    assert found[2].role == "tool"


def test_llama_factorys_parts_with_value_are_read(one):
    call = json.dumps({"name": "f", "arguments": {"x": 1}})
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "value": "q"}], "loss_weight": 0.0},
            {
                "role": "assistant",
                "content": [{"type": "reasoning", "value": "hm"}, {"type": "tool_call", "value": call}],
                "loss_weight": 0.0,
            },
            {"role": "tool", "content": [{"type": "tool_result", "value": "r"}], "loss_weight": 0.0},
            {"role": "assistant", "content": [{"type": "text", "value": "a"}], "loss_weight": 1.0},
        ]
    }
    calling = Message(
        role="assistant", reasoning="hm", tool_calls=(ToolCall(name="f", arguments={"x": 1}),), untrained="marked"
    )
    assert one(row).messages == (Q, calling, Message(role="tool", content="r"), A)


def test_openais_former_functions_are_tools_calls_and_results(one):
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}}
    result = {"role": "function", "name": "f", "content": "r"}
    row = {"messages": [USER, call, result], "functions": [{"name": "f"}], "parallel_tool_calls": False}
    found = one(row)
    assert found.messages[1].tool_calls == (ToolCall(name="f", arguments={"x": 1}),)
    assert found.messages[2] == Message(role="tool", content="r", name="f")
    assert found.tools == ({"type": "function", "function": {"name": "f"}},)


CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "a"}}]}, A),
        (
            {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}}]},
            Message(role="assistant", tool_calls=(CALL,)),
        ),
        ({"object": "text_completion", "choices": [{"text": "a", "finish_reason": "stop"}]}, A),
        ({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}]}, A),
        ({"model": "m", "message": {"role": "assistant", "content": "a"}, "done": True}, A),
        ({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}]}, A),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]}, A),
        (
            {
                "object": "response",
                "output": [
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1}'},
                ],
            },
            Message(role="assistant", reasoning="hm", tool_calls=(CALL,)),
        ),
        ([{"role": "assistant", "content": "a"}], A),
    ],
)
def test_a_whole_response_of_an_api_is_its_message(one, response, message):
    assert one({"request": {"messages": [USER]}, "response": response}).messages == (Q, message)


def test_a_response_with_several_choices_is_refused(one):
    choices = [{"message": {"role": "assistant", "content": "a"}}] * 2
    with pytest.raises(DataError, match="response holds 2 choices; expected one"):
        one({"request": {"messages": [USER]}, "response": {"choices": choices}})


@pytest.mark.parametrize("said", ["q", [USER], [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}]])
def test_a_request_may_hold_its_messages_as_input(one, said):
    assert one({"request": {"input": said, "instructions": "s"}, "response": "a"}).messages == (S, Q, A)


@pytest.mark.parametrize("name", ["messages", "conversations"])
@pytest.mark.parametrize(("speaker", "said"), [("role", "content"), ("from", "value")])
def test_a_conversation_as_json_text_in_a_column_is_read(understand, name, speaker, said):
    text = json.dumps([{speaker: "user", said: "q"}, {speaker: "assistant", said: "a"}])
    assert understand({name: text, "id": "7"}).items[0].messages == (Q, A)


def test_lists_as_json_text_in_one_column_and_not_in_the_other_are_read(one):
    ask, answer = [USER], [{"role": "assistant", "content": "a"}]
    for row in (
        {"prompt": ask, "completion": json.dumps(answer)},
        {"prompt": json.dumps(ask), "completion": answer},
        {"prompt": json.dumps(ask), "completion": json.dumps(answer)},
        {"prompt": json.dumps(ask), "completion": "a"},
    ):
        assert one(row).messages == (Q, A)
    listed = '["a", {"x": 1}]'
    assert one({"prompt": listed, "completion": "[1, 2]"}).messages[0].content == listed


def test_a_list_as_python_prints_it_is_named_as_such(one):
    with pytest.raises(DataError, match="conversations is text as Python prints it, in single quotes; expected JSON"):
        one({"conversations": str([{"from": "human", "value": "q"}])})
