"""The label of a conversation is found where the recipe says, and nowhere else."""

import re
import time

import pytest

from tunelab.conversations import ConversationConfig
from tunelab.errors import RecipeError
from tunelab.recipes import resolve_recipe


def chat(answer: str, **fields: object) -> dict[str, object]:
    return {"prompt": "what is it?", "completion": answer, **fields}


def test_without_a_setting_there_is_no_label(one) -> None:
    assert one(chat("cat", label="cat")).label is None


@pytest.mark.parametrize(
    ("value", "label"),
    [("cat ", "cat"), (3, "3"), (True, "true"), (["b", "a"], '["b", "a"]'), (None, ""), ("", "")],
)
def test_a_field_of_the_row_gives_the_label(one, value: object, label: str) -> None:
    assert one(chat("x", kind=value), label_field="kind").label == label


def test_a_label_is_not_shown_to_the_model(one) -> None:
    item = one(chat("x", kind="secret"), label_field="kind")
    assert "secret" not in repr(item.messages)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ('{"kind": "cat", "sure": true}', "cat"),
        ('```json\n{"kind": "cat"}\n```', "cat"),
        ('{"other": 1}', ""),
        ('["kind"]', ""),
        ("no json", ""),
        ("[" * 100_000, ""),
    ],
)
def test_a_key_of_an_answer_in_json_gives_the_label(one, answer: str, label: str) -> None:
    assert one(chat(answer), label_json_key="kind").label == label


def test_a_pattern_gives_its_first_group_or_the_whole_match(one) -> None:
    answer = "It is small.\nKind: big cat\nKind: dog"
    assert one(chat(answer), label_pattern=r"Kind: (.+)").label == "big cat"
    assert one(chat(answer), label_pattern="dog|cat").label == "cat"
    assert one(chat(answer), label_pattern="horse").label == ""


def test_the_last_trained_answer_is_looked_into_and_of_a_plain_text_the_text(one) -> None:
    roles = ("user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": f"{number}"} for number, role in enumerate(roles)]
    assert one({"messages": messages}, label_pattern=r"\d").label == "3"
    assert one({"text": "kind 7"}, label_pattern=r"\d").label == "7"


def test_a_field_that_no_row_has_is_refused_with_the_nearest(understand) -> None:
    with pytest.raises(RecipeError, match=r'data.label_field: no row has the field "lable".*Did you mean "label"\?'):
        understand(chat("x", label="cat"), label_field="lable")


def test_a_label_is_found_in_one_way_by_a_pattern_that_can_be_read() -> None:
    with pytest.raises(RecipeError, match=r"names a second way to the label: data\.label_field is set"):
        resolve_recipe(None, overrides=["data.label_field=a", "data.label_pattern=b"], environment={})
    with pytest.raises(RecipeError, match="no regular expression"):
        resolve_recipe(None, overrides=["data.label_pattern='('"], environment={})
    assert ConversationConfig(label_pattern="(a)").label_field is None


def test_a_pattern_that_would_never_end_is_matched_in_no_time(one) -> None:
    begun = time.process_time()
    assert one(chat("a" * 5000), label_pattern="(a+)+b|(a|aa)+$x").label == ""
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "missing ), unterminated subpattern at character 1"),
        ("[a", "unterminated character set at character 1"),
        ("(?=a)b", "look-around, including look-ahead and look-behind, is not supported"),
        (r"(a)\1", "backreferences are not supported"),
        ("(?:a{1000}){1000}", "exceeds size limit"),
        ("(" * 3000 + ")" * 3000, "is "),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_fault(pattern: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        ConversationConfig(label_pattern=pattern)
