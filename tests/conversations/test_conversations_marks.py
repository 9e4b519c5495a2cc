"""Marks of the data say which answers are trained, whatever tool wrote them."""

import json

import pytest

from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import DataError

NO = [0, 0.0, False, "0", "false"]
YES = [1, 1.0, True, "1", "true", None, "", float("nan")]
NAMES = ["weight", "loss", "loss_mask", "loss_weight", "train", "trainable"]
SAID = [("user", "q"), ("assistant", "a"), ("user", "q2"), ("assistant", "a2")]


def messages(**first_answer: object) -> dict[str, object]:
    marks = [{}, first_answer, {}, {}]
    return {"messages": [{"role": r, "content": c, **mark} for (r, c), mark in zip(SAID, marks, strict=True)]}


def sharegpt(**first_answer: object) -> dict[str, object]:
    speakers, marks = {"user": "human", "assistant": "gpt"}, [{}, first_answer, {}, {}]
    turns = [{"from": speakers[r], "value": c, **mark} for (r, c), mark in zip(SAID, marks, strict=True)]
    return {"conversations": turns}


@pytest.mark.parametrize("form", [messages, sharegpt])
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_marked_with_no_is_not_trained_and_stays_in_the_prompt(one, form, name):
    plain = one(form())
    for value in NO:
        marked = one(form(**{name: value}))
        assert trained_turns(marked) == [3], value
        assert [(each.role, each.content) for each in marked.messages] == SAID
    for value in YES:
        assert one(form(**{name: value})).messages == plain.messages, value


@pytest.mark.parametrize("form", [messages, sharegpt])
def test_masked_means_the_opposite_of_the_other_marks(one, form):
    assert trained_turns(one(form(masked=True))) == [3]
    assert trained_turns(one(form(masked=False))) == [1, 3]


def test_one_no_among_several_marks_leaves_an_answer_out(one):
    assert trained_turns(one(messages(weight=1, train=False))) == [3]


def test_a_mark_on_what_is_never_trained_is_no_error(one):
    turns = [{"role": "system", "content": "s", "weight": 0.5}, {"role": "user", "content": "q", "train": False}]
    row = {"messages": [*turns, {"role": "assistant", "content": "a", "weight": 1}]}
    assert trained_turns(one(row)) == [2]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_marks_all_of_its_answers_or_each_by_a_list(one, name):
    for form in (messages, sharegpt):
        assert trained_turns(one({**form(), name: 0})) == []
        assert trained_turns(one({**form(), name: [0, 0, 0, 1]})) == [3]
        assert trained_turns(one({**form(), name: json.dumps([0, 1, 0, 0])})) == [1]
        assert trained_turns(one({**form(), name: [False, True]})) == [3]
    for value, turns in ((0, []), (1, [1])):
        assert trained_turns(one({"prompt": "q", "completion": "a", name: value})) == turns
        assert trained_turns(one({"instruction": "q", "output": "a", name: value})) == turns


def test_a_session_line_is_marked_in_its_response_or_as_a_row(one):
    request = {"messages": [{"role": "user", "content": "q"}]}
    answer = {"role": "assistant", "content": "a"}
    assert trained_turns(one({"request": request, "response": {**answer, "weight": 0}})) == []
    assert trained_turns(one({"request": request, "response": answer, "train": False})) == []
    assert trained_turns(one({"request": request, "response": answer, "train": True})) == [1]


def test_nemos_mask_names_the_role_that_is_left_out(one):
    turns = [{"from": "User", "value": "q"}, {"from": "Assistant", "value": "a"}]
    assert trained_turns(one({"conversations": turns, "mask": "User"})) == [1]
    assert trained_turns(one({"conversations": turns, "mask": "Assistant"})) == []


def test_parts_of_an_answer_that_agree_are_a_mark_for_the_whole(one):
    def parts(*said: bool) -> list[dict[str, object]]:
        return [{"begin_offset": n, "end_offset": n, "train": each} for n, each in enumerate(said)]

    assert trained_turns(one(messages(train_detail=parts(False)))) == [3]
    assert trained_turns(one(messages(train_detail=parts(True)))) == [1, 3]
    assert trained_turns(one(messages(train_detail=[]))) == [1, 3]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (messages(weight=0.5), "message 2: weight is 0.5; expected 0 or 1. An answer is trained whole or not at all"),
        (messages(loss_weight=2), "message 2: loss_weight is 2; expected 0 or 1"),
        (messages(train="maybe"), "message 2: train is text; expected 0 or 1"),
        (messages(mask=1), "message 2: mask is 1, which some tools read as trained and others as left out. Set data"),
        (
            messages(train_detail=[{"begin_offset": 0, "end_offset": 0, "train": False}, {"train": True}]),
            "message 2: train_detail trains a part of the answer",
        ),
        (messages(train_detail=[3]), "message 2: train_detail is no list of parts"),
        ({**messages(), "loss_mask": [1]}, "loss_mask has 1 entries for 4 messages, 2 of them answers"),
        ({**messages(), "weight": 0.3}, "weight is 0.3; expected 0 or 1"),
        ({**messages(), "mask": "0"}, "mask is 0, which some tools read as trained and others as left out. Set data"),
        ({**messages(), "mask": "[0, 1, 0, 1]"}, "mask: entry 1 is 1, which some tools read as trained"),
        ({**messages(), "mask": "Usr"}, "mask is text; expected 0 or 1"),
        ({**messages(), "loss_mask": [0, 0.5]}, "loss_mask: entry 2 is 0.5; expected 0 or 1"),
    ],
)  # fmt: skip
def test_a_mark_that_cannot_be_obeyed_is_refused_with_what_to_do(one, row, words):
    with pytest.raises(DataError) as caught:
        one(row)
    assert str(caught.value).startswith(f"t.jsonl:1: {words}")


def test_a_mask_of_numbers_is_read_as_the_recipe_says(one):
    row = {**messages(), "mask": [0, 0, 0, 1]}
    assert trained_turns(one(row, field_map={"loss_mask": "mask"})) == [3]
    assert trained_turns(one(row, field_map={"masked": "mask"})) == [1]


def test_columns_of_a_table_are_no_marks(one):
    templates = {"prompt_template": "{weight} kg of {what}?", "completion_template": "{price}"}
    assert trained_turns(one({"weight": 0, "what": "tea", "price": 3}, **templates)) == [1]


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_answer_that_was_cut_off_when_it_was_written_is_not_trained(one, reason):
    answer = {"role": "assistant", "content": "half of an ans"}
    chat = [{"role": "user", "content": "q"}, answer]
    rows = [
        {"messages": [chat[0], {**answer, "finish_reason": reason}]},
        {"messages": chat, "stop_reason": reason},
        {"prompt": "q", "completion": "half", "finish_reason": reason},
        {"request": {"messages": chat[:1]}, "response": {"choices": [{"message": answer, "finish_reason": reason}]}},
        {"request": {"messages": chat[:1]}, "response": {**answer, "stop_reason": reason}},
    ]
    for row in rows:
        assert one(row).messages[-1].untrained == "unfinished"
        assert trained_turns(one(json.loads(json.dumps(row).replace(reason, "stop")))) == [1]


def test_a_text_that_is_marked_as_not_trained_is_refused_and_can_be_left_out(understand):
    bad = []
    rows = [{"text": "a", "weight": 1}, {"text": "b", "weight": 0}, {"text": "c", "weight": None}]
    found = understand(*rows, format="text", bad=bad)
    assert [each.text for each in found.items] == ["a", "c"]
    assert "t.jsonl:2: weight is 0: the row says that its text is not trained" in str(bad[0])
    assert not found.unread
