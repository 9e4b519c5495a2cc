"""Files that call fields and roles otherwise are read by `data.field_map` and `data.role_map`."""

import pytest
from pydantic import ValidationError

from tunelab.conversations import ConversationConfig, Message
from tunelab.errors import DataError, RecipeError

EXCHANGE = (Message(role="user", content="q"), Message(role="assistant", content="a"))
TURNS = [{"who": "Q", "words": "q"}, {"who": "A", "words": "a"}]
NAMES = {"role": "who", "content": "words"}
CALL = {"request": "ask", "response": "said"}
ROLES = {"Q": "user", "A": "assistant"}


@pytest.mark.parametrize(
    ("row", "field_map", "format"),
    [
        ({"question": "q", "answer": "a"}, {"prompt": "question", "completion": "answer"}, "prompt_completion"),
        ({"task": "q", "out": "a"}, {"instruction": "task", "output": "out"}, "instruction"),
        ({"q1": "q", "r1": "a"}, {"query": "q1", "response": "r1"}, "query_response"),
        ({"x": "q", "y": "a"}, {"input": "x", "output": "y"}, "input_output"),
        ({"dialog": TURNS}, {"messages": "dialog", **NAMES}, "messages"),
        ({"conversations": TURNS}, NAMES, "messages"),
        ({"ask": {"dialog": TURNS[:1]}, "said": "a"}, {**CALL, "messages": "dialog", **NAMES}, "session"),
        ({"prompt": TURNS[:1], "completion": TURNS[1:]}, NAMES, "prompt_completion"),
    ],
)  # fmt: skip
def test_every_format_is_read_under_the_names_of_the_files(understand, row, field_map, format):
    found = understand(row, field_map=field_map, role_map=ROLES)
    assert (found.format, found.items[0].messages) == (format, EXCHANGE)


def test_plain_text_is_read_under_another_name(one):
    assert one({"body": "words"}, field_map={"text": "body"}).text == "words"


def test_a_system_prompt_tools_and_history_are_read_under_other_names(one):
    row = {"q": "q", "a": "a", "persona": "be kind", "api": [{"name": "f"}], "past": [["q", "a"]]}
    names = {"prompt": "q", "completion": "a", "system": "persona", "tools": "api", "history": "past"}
    found = one(row, field_map=names)
    assert found.messages == (Message(role="system", content="be kind"), *EXCHANGE, *EXCHANGE)
    assert found.tools[0]["function"] == {"name": "f"}


def test_roles_mean_what_the_map_says_also_where_they_have_a_usual_meaning(one):
    turns = [{"role": "assistant", "content": "q"}, {"role": "user", "content": "a"}]
    assert one({"messages": turns}, role_map={"assistant": "user", "user": "assistant"}).messages == EXCHANGE
    call = {"from": "action", "value": '{"name": "f", "arguments": {}}'}
    row = {"conversations": [{"from": "human", "value": "q"}, call]}
    assert one(row, role_map={"action": "function_call"}).messages[1].tool_calls[0].name == "f"
    with pytest.raises(DataError, match=r'is from "action".*data\.role_map says what another name means'):
        one(row)


def test_a_field_that_has_a_name_which_the_map_gives_to_another_is_not_read(one):
    row = {"prompt": "a key of the exporter", "question": "q", "completion": "a"}
    assert one(row, field_map={"prompt": "question"}).messages == EXCHANGE
    swapped = {"prompt": "a", "completion": "q"}
    assert one(swapped, field_map={"prompt": "completion", "completion": "prompt"}).messages == EXCHANGE


def test_a_label_field_is_named_as_the_files_name_it(one):
    names = {"prompt": "question", "completion": "answer"}
    row = {"question": "q", "answer": "a", "kind": "k"}
    assert one(row, field_map=names, label_field="kind").label == "k"
    assert one(row, field_map=names, label_field="answer").label == "a"


def test_a_mapped_field_that_no_row_has_is_refused_at_once_with_the_nearest(understand):
    with pytest.raises(RecipeError) as caught:
        understand({"question": "q", "answer": "a"}, field_map={"prompt": "questions", "completion": "answer"})
    assert caught.value.where == "data.field_map.prompt"
    assert 'no row has the field "questions"; expected one of question, answer. Did you mean "question"?' in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("field_map", "words"),
    [
        ({"promt": "q"}, 'names "promt", which is no field that a format reads. Did you mean "prompt"?'),
        ({"prompt": "q", "completion": "q"}, 'gives the field "q" two meanings: prompt, completion'),
    ],
)
def test_an_unknown_name_and_a_field_mapped_twice_are_refused(field_map, words):
    with pytest.raises(ValidationError) as caught:
        ConversationConfig(field_map=field_map)
    assert words in str(caught.value)


def test_a_role_is_mapped_to_a_known_one_only():
    with pytest.raises(ValidationError, match="function_call"):
        ConversationConfig(role_map={"bot": "asistant"})


def test_a_table_names_its_columns_in_its_templates_and_takes_no_map(one):
    templates = {"prompt_template": "{x}", "completion_template": "{y}"}
    with pytest.raises(RecipeError, match=r"^data\.field_map: the templates of a table name its columns"):
        one({"x": "q", "y": "a"}, field_map={"prompt": "x"}, **templates)


def test_a_role_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r'reads "customer" as "userr"; expected .*\. Did you mean "user"\?'):
        ConversationConfig.model_validate({"role_map": {"customer": "userr"}})


def test_a_role_that_no_message_has_and_that_is_near_one_is_refused_before_the_rows(one):
    row = {"messages": [{"role": "customer", "content": "a"}, {"role": "agent", "content": "b"}]}
    with pytest.raises(RecipeError, match=r'no message has the role "custommer".*Did you mean "customer"\?'):
        one(row, role_map={"custommer": "user", "agent": "assistant"})
    unused = {"customer": "user", "agent": "assistant", "machine": "tool"}
    assert [message.role for message in one(row, role_map=unused).messages] == ["user", "assistant"]
