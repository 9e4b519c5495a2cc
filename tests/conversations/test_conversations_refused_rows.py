"""Rows that nobody should train on as they are are refused with what to do."""

import json

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
        ({"prompt": "q", "prompt_id": "x", "chosen": CHAT, "rejected": CHAT}, {"messages": "chosen"}),
        ({"prompt": "q", "chosen": json.dumps(CHAT), "rejected": json.dumps(CHAT)}, {"messages": "chosen"}),
        ({"question": "q", "chosen": "a", "rejected": "b"}, {"query": "question", "response": "chosen"}),
        ({"question": "q", "chosen": CHAT[1:], "rejected": CHAT}, {"prompt": "question", "completion": "chosen"}),
        ({"instruction": "q", "input": "", "chosen": "a", "rejected": "b"}, {"output": "chosen"}),
        ({"input": "q", "chosen": "a", "rejected": "b"}, {"output": "chosen"}),
        ({"messages": CHAT[:1], "chosen": "a", "rejected": "b"}, {"response": "chosen"}),
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
    found = understand(row, field_map=field_map)
    assert [(each.role, each.content) for each in found.items[0].messages] == [("user", "q"), ("assistant", "a")]
    assert all(each.describes for each in found.unread if each.path != "prompt")


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {"prompt": "q", "chosen": "q a", "rejected": "q b"},
    ],
)
def test_better_answers_that_no_map_reads_get_no_map_as_advice(understand, row):
    with pytest.raises(DataError, match="preference pairs") as caught:
        understand(row)
    assert "No data.field_map reads the better answers of such rows. Write each row as" in str(caught.value)


def test_an_empty_prompt_in_the_first_row_hides_no_map(understand):
    with pytest.raises(DataError, match=r"data\.field_map: \{completion: chosen\}"):
        understand({"prompt": "", "chosen": "a", "rejected": "b"})


def test_the_advised_map_keeps_what_is_mapped_already(understand):
    row = {"q": "q", "chosen": "a", "rejected": "b"}
    with pytest.raises(DataError, match=r"data\.field_map: \{prompt: q, completion: chosen\}"):
        understand(row, field_map={"prompt": "q"})


@pytest.mark.parametrize("prompt", ["q", CHAT[:1], [{"role": "system", "content": "s"}, *CHAT[:1]]])
def test_a_completion_that_holds_the_prompt_again_is_refused_and_the_remedy_reads_it_once(understand, prompt):
    with pytest.raises(DataError, match="chosen holds the prompt again") as caught:
        understand({"prompt": prompt, "chosen": CHAT}, field_map={"completion": "chosen"})
    assert "set data.field_map: {messages: chosen}" in str(caught.value)
    assert len(understand({"prompt": prompt, "chosen": CHAT}, field_map={"messages": "chosen"}).items[0].messages) == 2


def test_a_worse_answer_is_proposed_neither_for_reading_nor_for_a_template(understand):
    for row in ({"title": "x", "good": "y", "rejected": "z"}, {"text": "x", "good": "y", "rejected": "z"}):
        rows = [row, {**row, "rejected": None}, {**row, "rejected": None}]
        with pytest.raises(DataError) as caught:
            understand(*rows)
        assert 'data.completion_template (such as "{good}")' in str(caught.value)
    found = understand({**PAIR, "rejected": "b", "score_rejected": 2}, PAIR, PAIR)
    assert [(each.path, each.describes) for each in found.unread] == [("rejected", True), ("score_rejected", True)]


@pytest.mark.parametrize(
    ("row", "field_map"),
    [
        ({"question": "q", "answer": "a"}, {"query": "question", "response": "answer"}),
        ({"Question": "q", "Answer": "a", "id": 3}, {"query": "Question", "response": "Answer"}),
        ({"prompt": "q", "response": "a"}, {"completion": "response"}),
        ({"problem": "q", "solution": "a"}, {"query": "problem", "response": "solution"}),
        ({"question": "q", "context": "", "answer": "a"}, {"instruction": "question", "output": "answer"}),
    ],
)
def test_a_question_and_an_answer_under_other_names_get_the_map_that_reads_them(understand, row, field_map):
    with pytest.raises(DataError) as caught:
        understand(row)
    shown = ", ".join(f"{ours}: {theirs}" for ours, theirs in field_map.items())
    assert f"Set data.field_map: {{{shown}}}." in str(caught.value)
    assert "Did you mean" not in str(caught.value)
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
    found = understand(*({"instruction": "q", "output": "a", "label": value} for value in values))
    assert len(found.items) == 2
    assert [each.path for each in found.unread] == ["label"]


@pytest.mark.parametrize("values", [(1, 0), (1.0, 0.0), ("1", "0")])
def test_a_label_of_0_next_to_prompt_and_completion_is_a_bad_answer_unless_it_is_named_as_a_class(understand, values):
    bad: list[DataError] = []
    rows = [{**PAIR, "label": value} for value in values]
    assert len(understand(*rows, bad=bad).items) == 1
    assert f"t.jsonl:2: label is {values[1]}: the row says that its answer is bad" in str(bad[0])
    assert len(understand(*rows, label_field="label").items) == 2
    templates = {"prompt_template": "{prompt}", "completion_template": "{label}"}
    assert len(understand(*rows, **templates).items) == 2


@pytest.mark.parametrize("values", [["news", "sport"], [3, 5], [1, 2]])
def test_other_labels_next_to_prompt_and_completion_are_classes(understand, values):
    assert len(understand(*({**PAIR, "label": value} for value in values)).items) == 2


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
