"""The shape of rows is found by evidence; settings replace what the rows hold."""

import json
from pathlib import Path

import pytest

from tunelab.conversations import Message
from tunelab.errors import DataError

CHAT = {
    "messages": [
        {"role": "system", "content": "old"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
}
PAIR = {"prompt": "q", "completion": "a"}
TOOL = {"name": "f", "description": "d", "parameters": {}}


def test_the_shape_that_most_rows_have_is_found_and_the_evidence_is_said(understand):
    bad: list[DataError] = []
    found = understand(CHAT, CHAT, PAIR, {"other": 1}, CHAT, bad=bad)
    assert found.format == "messages"
    assert found.evidence == 'messages: 3 of the first 5 rows have a "messages" list'
    assert [item.origin.line for item in found.items] == [1, 2, 5]
    assert [error.where for error in bad] == ["t.jsonl:3", "t.jsonl:4"]
    assert 'looks like prompt_completion ("prompt" and "completion"); expected a "messages" list' in str(bad[0])
    assert "has the fields other" in str(bad[1])


def test_a_row_of_another_shape_is_refused_by_default(understand):
    with pytest.raises(DataError, match=r"^t\.jsonl:3: the row looks like prompt_completion"):
        understand(CHAT, CHAT, PAIR)


def test_a_bad_row_behind_the_rows_looked_at_is_still_bad(understand):
    bad: list[DataError] = []
    found = understand(*[PAIR] * 1500, {"other": 1}, bad=bad)
    assert len(found.items) == 1500
    assert "1,000 of the first 1,000" in found.evidence
    assert [error.where for error in bad] == ["t.jsonl:1501"]


def test_a_named_format_settles_what_rows_leave_open(understand):
    row = {"instruction": "i", "input": "x", "output": "a"}
    assert understand(row).format == "instruction"
    named = understand(row, format="input_output")
    assert (named.items[0].messages[0].content, named.evidence) == ("x", "input_output: named by data.format")


def test_pain_13_rows_of_no_known_shape_name_their_fields_and_the_way_out(understand):
    with pytest.raises(DataError) as caught:
        understand({"title": "x", "content": "y"})
    for words in (
        "t.jsonl:1: the row has the fields title, content",
        'a "messages" list',
        'such as "{title}"',
        'such as "{content}"',
    ):
        assert words in str(caught.value)
    with pytest.raises(DataError, match='Did you mean "messages"'):
        understand({"mesages": []})
    with pytest.raises(DataError, match=r"the fields \(none\)"):
        understand({})


def test_preference_pairs_are_refused_with_the_way_out(understand):
    for row, way_out in (
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "{completion: chosen}"),
        ({"chosen": [], "rejected": []}, "{messages: chosen}"),
    ):
        with pytest.raises(
            DataError, match=r"^t\.jsonl:1: the rows are preference pairs \(chosen, rejected\)"
        ) as caught:
            understand(row, bad=[])
        assert f"set data.field_map: {way_out}" in str(caught.value)


def test_no_rows_at_all_are_refused(understand):
    with pytest.raises(DataError, match="no readable row"):
        understand()


def test_the_system_prompt_replaces_the_one_in_the_data_or_stands_alone(one):
    rest = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    assert one(CHAT).messages == (Message(role="system", content="old"), *rest)
    for row in (CHAT, PAIR, {**CHAT, "system": "another"}):
        assert one(row, system_prompt="new").messages == (Message(role="system", content="new"), *rest)
    assert one(CHAT, system_prompt="").messages == rest


def test_two_different_system_prompts_in_one_row_are_refused(one):
    assert one({**CHAT, "system": "old"}).messages == one(CHAT).messages
    with pytest.raises(DataError, match='a system message and another text in the field "system"'):
        one({**CHAT, "system": "another"})


@pytest.mark.parametrize(
    "catalog",
    [
        [TOOL],
        [{"type": "function", "function": TOOL}],
        {"f": {"description": "d", "parameters": {}}},
        {"tools": [TOOL]},
    ],
)
def test_a_tool_catalogue_replaces_the_tools_of_the_rows(one, tmp_path: Path, catalog):
    (tmp_path / "tools.json").write_text(json.dumps(catalog), encoding="utf-8-sig")
    for row in (PAIR, {**PAIR, "tools": [{"name": "old"}]}):
        assert one(row, tool_catalog="tools.json").tools == ({"type": "function", "function": TOOL},)
        assert one(row, tool_catalog="tools.json", inject_tool_catalog=False).tools == ()
    assert one({**PAIR, "tools": [TOOL]}, inject_tool_catalog=False).tools == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"^data\.tool_catalog: .* cannot be read"),
        ('[{"x": 1}]', "tool 1 has no name"),
        ("[{]", r"^tools\.json:1: broken JSON at column 3"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_named(one, tmp_path: Path, content, words):
    if content is not None:
        (tmp_path / "tools.json").write_text(content)
    with pytest.raises(DataError, match=words):
        one(PAIR, tool_catalog="tools.json")
