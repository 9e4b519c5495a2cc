"""Rows that nobody should train on as they are are refused with what to do."""

import pytest

from tunelab.errors import DataError

CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
GPT = {"from": "gpt", "value": "a"}
PAIR = {"prompt": "q", "completion": "a"}


@pytest.mark.parametrize(
    ("row", "field_map"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, {"completion": "chosen"}),
        ({"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": CHAT[1:]}, {"completion": "chosen"}),
        ({"chosen": CHAT, "rejected": CHAT}, {"messages": "chosen"}),
        (
            {"conversations": [{"from": "human", "value": "q"}], "chosen": GPT, "rejected": GPT},
            {"response": "chosen"},
        ),
        (
            {"input": {"messages": CHAT[:1]}, "preferred_output": CHAT[1:], "non_preferred_output": CHAT[1:]},
            {"request": "input", "response": "preferred_output"},
        ),
    ],
)  # fmt: skip
def test_preference_pairs_are_refused_and_the_remedy_trains_the_better_answer(understand, row, field_map):
    with pytest.raises(DataError, match="preference pairs") as caught:
        understand(row)
    shown = ", ".join(f"{ours}: {theirs}" for ours, theirs in field_map.items())
    assert f"set data.field_map: {{{shown}}}" in str(caught.value)
    messages = understand(row, field_map=field_map).items[0].messages
    assert [(each.role, each.content) for each in messages] == [("user", "q"), ("assistant", "a")]


def test_a_worse_answer_next_to_a_whole_conversation_is_refused(understand):
    with pytest.raises(DataError, match="Remove rejected_response to train on the answers next to it"):
        understand({"messages": CHAT, "rejected_response": "b"})
    assert understand({"messages": CHAT, "rejected": False}).items


@pytest.mark.parametrize("field", ["label", "kto_tag", "is_correct", "desirable", "score"])
@pytest.mark.parametrize("row", [PAIR, {"messages": CHAT}])
def test_a_row_that_calls_its_answer_bad_is_refused_and_can_be_left_out(understand, row, field):
    bad: list[DataError] = []
    yes, no = (1.0, 0.0) if field == "score" else (True, False)
    found = understand({**row, field: yes}, {**row, field: no}, bad=bad)
    assert [item.origin.line for item in found.items] == [1]
    assert f"t.jsonl:2: {field} is {no}: the row says that its answer is bad" in str(bad[0])
    assert f"set data.label_field: {field}" in str(bad[0])
    assert not found.unread
    labelled = understand({**row, field: yes}, {**row, field: no}, label_field=field)
    assert len(labelled.items) == 2


@pytest.mark.parametrize("values", [["news", "sport"], [0, 1], [3, 5], ["true story", "false"]])
def test_a_label_that_is_a_class_is_no_verdict(understand, values):
    found = understand(*({**PAIR, "label": value} for value in values))
    assert len(found.items) == 2
    assert [each.path for each in found.unread] == ["label"]


@pytest.mark.parametrize("values", [[0.5, 0.0], [0, 0], [0, 4]])
def test_a_score_with_degrees_is_no_verdict(understand, values):
    found = understand(*({"messages": CHAT, "score": value} for value in values))
    assert [each.path for each in found.unread] == ["score"]


def test_a_table_with_a_column_of_labels_is_read_by_its_templates(understand):
    rows = [{"text": "good", "label": True}, {"text": "bad", "label": False}]
    found = understand(*rows, prompt_template="{text}", completion_template="{label}")
    assert [item.messages[1].content for item in found.items] == ["true", "false"]


def test_text_next_to_other_columns_asks_for_a_template_and_the_evidence_is_true(understand):
    with pytest.raises(DataError) as caught:
        understand({"text": "I want my money back", "label": "refund"})
    assert "t.jsonl:1: next to text there is label" in str(caught.value)
    assert '"{text}") and data.completion_template (such as "{label}")' in str(caught.value)
    assert understand({"text": "words", "label": "refund"}, format="text").items[0].text == "words"
    crawled = understand({"text": "words", "url": "http://x", "id": 3, "timestamp": "now"})
    assert (crawled.format, crawled.items[0].text) == ("text", "words")
    assert crawled.evidence == "text: 1 of the first 1 row has text to continue"
    assert all(each.describes for each in crawled.unread)


def test_single_messages_of_a_tree_are_refused_by_name(understand):
    row = {"message_id": "m1", "parent_id": "m0", "role": "assistant", "text": "hi"}
    with pytest.raises(DataError, match=r"single messages of a tree.*each path .* one row with a \"messages\" list"):
        understand(row)


@pytest.mark.parametrize("field", ["images", "image", "videos", "audios"])
def test_rows_with_pictures_or_sounds_are_refused_by_name(understand, field):
    bad: list[DataError] = []
    rows = [{"messages": CHAT, field: ["x.png"]}, {"messages": CHAT, field: []}, {"messages": CHAT, field: None}]
    assert len(understand(*rows, bad=bad).items) == 2
    assert f"t.jsonl:1: the row has {field}, and only text is trained" in str(bad[0])


def test_the_index_that_pandas_wrote_is_not_proposed_as_a_column(understand):
    with pytest.raises(DataError) as caught:
        understand({"Unnamed: 0": 0, "": 1, "title": "x", "body": "y"})
    assert 'such as "{title}") and data.completion_template (such as "{body}")' in str(caught.value)
