"""What lies in rows and no format reads is counted and named, and nothing that is read is."""

import copy

import pytest

from tunelab.conversations import ConversationConfig, read_conversations
from tunelab.errors import DataError
from tunelab.sources import Origin, Row

CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ROWS = {
    "messages": {"messages": CHAT, "tools": [{"name": "f"}], "system": "s"},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 1}]},
    "prompt_completion": {"prompt": "q", "completion": "a", "history": [["q", "a"]], "system_prompt": "s"},
    "instruction": {"instruction": "q", "input": "x", "context": "y", "output": "a", "system": "s"},
    "input_output": {"input": "q", "output": "a", "instructions": "s"},
    "session": {"request": {"messages": CHAT[:1], "system": "s"}, "response": {"role": "assistant", "content": "a"}},
    "query_response": {"prompt": "p", "query": "q", "response": "a"},
}


def unread(understand, *rows, **settings):
    return {each.path: each.num_rows for each in understand(*rows, **settings).unread}


@pytest.mark.parametrize("name", ROWS)
def test_an_unknown_field_of_a_row_is_counted_in_every_format(understand, name):
    assert not unread(understand, ROWS[name])
    assert unread(understand, ROWS[name], {**ROWS[name], "feedback": "poor"}) == {"feedback": 1}


def test_keys_of_messages_parts_and_calls_are_counted_once_a_row(understand):
    answer = {"role": "assistant", "content": [{"type": "text", "text": "a", "citations": ["x"]}], "thumbs": "down"}
    call = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "reason": "why"}]}
    rows = [{"messages": [CHAT[0], answer, CHAT[0], answer]}, {"messages": [CHAT[0], call]}, {"messages": CHAT}]
    found = understand(*rows).unread
    assert {each.path: (each.num_rows, each.origin.line) for each in found} == {
        "messages.thumbs": (1, 1),
        "messages.content.citations": (1, 1),
        "messages.tool_calls.reason": (1, 2),
    }
    assert [each.example for each in found if each.path == "messages.thumbs"] == ["down"]


def test_keys_of_a_request_and_of_a_whole_response_are_counted(understand):
    request = {"messages": CHAT[:1], "guided_regex": "x+", "temperature": 0.5}
    response = {"choices": [{"index": 0, "message": {**CHAT[1], "rating": 3}, "finish_reason": "stop"}], "model": "m"}
    found = understand({"request": request, "response": response}).unread
    assert {each.path: each.describes for each in found} == {
        "request.guided_regex": False,
        "request.temperature": True,
        "response.choices.message.rating": False,
        "response.model": True,
    }


def test_what_holds_nothing_is_not_missed(understand):
    assert not unread(understand, {"messages": [{**CHAT[0], "x": None}, CHAT[1]], "y": [], "z": "", "n": float("nan")})


def test_a_field_that_describes_a_row_is_told_from_one_that_may_belong_to_it(understand):
    names = ["id", "source", "Unnamed: 0", "", "parallel_tool_calls", "thumbs", "notes"]
    found = understand({"messages": CHAT, **dict.fromkeys(names, "x")}).unread
    assert [each.path for each in found if each.describes] == ["id", "source", "Unnamed: 0", "(no name)", names[4]]
    assert [each.path for each in found if not each.describes] == ["thumbs", "notes"]


def test_a_second_list_of_messages_and_a_field_that_made_room_are_missed(understand):
    assert unread(understand, {"messages": CHAT, "conversations": CHAT}) == {"conversations": 1}
    found = unread(understand, {"prompt": "x", "q": "q", "completion": "a"}, field_map={"prompt": "q"})
    assert found == {"prompt (not mapped)": 1}


def test_the_field_of_the_label_and_the_columns_of_a_template_are_read(understand):
    row = {"title": "x", "body": "y", "kind": "k", "stars": 4}
    templates = {"prompt_template": "{title}", "completion_template": "{body}", "label_field": "kind"}
    assert unread(understand, row, **templates) == {"stars": 1}
    assert unread(understand, {**ROWS["messages"], "kind": "k"}, label_field="kind") == {}


@pytest.mark.parametrize("name", ROWS)
def test_a_field_that_counts_as_read_changes_the_conversation(understand, name):
    before = understand(ROWS[name]).items[0]
    for field in ROWS[name]:
        row = copy.deepcopy(ROWS[name])
        row[field] = {"odd": 1}
        try:
            after = understand(row).items[0]
        except DataError:
            continue
        assert after != before, field


def test_rows_that_are_all_different_keep_the_memory_of_shapes_small(tmp_path):
    rows = [
        Row(value={"messages": CHAT, f"key {n}": 1}, origin=Origin(path="t.jsonl", line=n)) for n in range(1, 3_001)
    ]
    found = read_conversations(rows, ConversationConfig(), base=tmp_path)
    assert len(found.unread) == 3_000
