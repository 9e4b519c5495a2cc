"""Tool calls in answers: read in the forms of model families, judged whole, by name and by argument."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluated_rows import evaluated, groups_of
from tunelab.evaluation.figures.measure import measure
from tunelab.evaluation.figures.tool_calls import calls_in, is_readable
from tunelab.evaluation.figures.tool_figures import TOOLS
from tunelab.evaluation.rows.evaluated_row import ExpectedCall

CALL = ExpectedCall(name="find_user", arguments={"id": "mia_1", "limit": 3})
_ARGUMENTS = '{"id": "mia_1", "limit": 3}'
_JSON = f'{{"name": "find_user", "arguments": {_ARGUMENTS}}}'


@pytest.mark.parametrize(
    "text",
    [
        _JSON,
        _JSON.replace("arguments", "parameters"),
        f"<tool_call>\n{_JSON}\n</tool_call>",
        f"Let me see.\n<tool_call>\n{_JSON}\n</tool_call>",
        f"[TOOL_CALLS] [{_JSON}]",
        f"[TOOL_CALLS]find_user[ARGS]{_ARGUMENTS}",
        f"find_user{_ARGUMENTS}",
        f"<|python_tag|>{_JSON}",
        f"<function=find_user>{_ARGUMENTS}</function>",
        f"functools[{_JSON}]",
        f'[{{"type": "function", "function": {json.dumps(json.loads(_JSON) | {"arguments": _ARGUMENTS})}}}]',
        f'{{"tool_calls": [{_JSON}]}}',
        f'Action: ```json\n[{{"tool_name": "find_user", "parameters": {_ARGUMENTS}}}]\n```',
        f"<|tool_call_begin|>functions.find_user:0<|tool_call_argument_begin|>{_ARGUMENTS}<|tool_call_end|>",
        f"<|channel|>commentary to=functions.find_user <|constrain|>json<|message|>{_ARGUMENTS}<|call|>",
        f"function<｜tool▁sep｜>find_user\n```json\n{_ARGUMENTS}\n```<｜tool▁call▁end｜>",
        "<tool_call>\n<function=find_user>\n<parameter=id>\nmia_1\n</parameter>\n<parameter=limit>\n3\n</parameter>\n"
        "</function>\n</tool_call>",
        '<invoke name="find_user"><parameter name="id">mia_1</parameter><parameter name="limit">3</parameter></invoke>',
        "<tool_call>find_user\n<arg_key>id</arg_key>\n<arg_value>mia_1</arg_value>\n<arg_key>limit</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>",
        '[find_user(id="mia_1", limit=3)]',
        "```tool_code\nfind_user(id='mia_1', limit=3)\n```",
        f'<think>\nShould I {{"name": "delete", "arguments": {{}}}}?\n</think>\n{_JSON}',
    ],
)
def test_calls_are_read_in_the_forms_of_model_families(text):
    assert calls_in(text) == (CALL,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No tool is needed.",
        "See [the page](https://example.org) and {this}.",
        '{"name": "Mia"}',
        "[1, 2, 3]",
        "[find_user(1)]",
        "I would set config{...} and call find_user(id=1).",
        "<tool_call>" + _JSON[:-10],
        "<think>" + _JSON + "</think> It is done.",
        "[" * 5_000,
        "<tool_call>f" + "<arg_key>a</arg_key><arg_value>1</arg_value>" * 60,
    ],
)
def test_what_is_no_call_is_not_read_as_one(text):
    assert calls_in(text) == ()


def test_several_calls_keep_their_order():
    names = [
        call.name for call in calls_in('[TOOL_CALLS] [{"name": "b", "arguments": {}}, {"name": "a", "arguments": {}}]')
    ]
    assert names == ["b", "a"]
    assert [call.name for call in calls_in('b{"x": 1}\na{"x": 2}')] == ["b", "a"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4), st.booleans())
def test_whatever_a_json_call_holds_is_read_as_it_was_written(arguments, escaped):
    text = json.dumps({"name": "f", "arguments": arguments}, ensure_ascii=escaped)
    found = calls_in(f"<tool_call>\n{text}\n</tool_call>")
    if "</think>" not in text and "function=" not in text:
        assert found == (ExpectedCall(name="f", arguments=arguments),)


def _values(answer, calls, reference=None):
    reference = (
        "\n".join(json.dumps({"name": c.name, "arguments": c.arguments}) for c in calls)
        if reference is None
        else reference
    )
    rows = [evaluated(answer, reference, calls=tuple(calls))]
    return {each.name: each.value for each in measure(TOOLS, rows, groups_of(rows), seed=0)}


def test_a_call_is_judged_whole_by_name_and_by_argument():
    right = _values('{"name": "find_user", "arguments": {"limit": 3.0, "id": "mia_1"}}', [CALL])
    assert (right["call_right"], right["call_name"], right["argument_accuracy"], right["missed_call"]) == (1, 1, 1, 0)
    half = _values('{"name": "find_user", "arguments": {"id": "mia_2", "limit": 3}}', [CALL])
    assert (half["call_right"], half["call_name"], half["argument_accuracy"]) == (0, 1, 0.5)
    invented = _values('{"name": "find_user", "arguments": {"id": "mia_1", "limit": 3, "all": true}}', [CALL])
    assert (invented["call_right"], invented["argument_accuracy"]) == (0, pytest.approx(2 / 3))
    other = _values('{"name": "delete_user", "arguments": {"id": "mia_1", "limit": 3}}', [CALL])
    assert (other["call_right"], other["call_name"], other["argument_accuracy"]) == (0, 0, 0)


def test_a_missed_call_and_one_that_was_not_called_for_are_told_apart():
    missed = _values("I do not know.", [CALL])
    assert (missed["call_right"], missed["missed_call"], missed["called_unasked"]) == (0, 1, None)
    unasked = _values(_JSON, [], reference="Hello!")
    assert (unasked["call_right"], unasked["called_unasked"], unasked["missed_call"]) == (0, 1, None)
    assert unasked["call_name"] is unasked["argument_accuracy"] is None
    assert _values("Hello!", [], reference="Hello!")["call_right"] == 1


def test_a_second_call_that_is_missing_has_its_arguments_wrong():
    second = ExpectedCall(name="pay", arguments={"sum": 5, "to": "x"})
    assert _values(_JSON, [CALL, second])["argument_accuracy"] == 0.5


def test_calls_in_a_form_that_cannot_be_read_are_not_judged():
    row = evaluated(_JSON, "call:find_user{id:mia_1}", calls=(CALL,))
    assert not is_readable(row.item)
    assert all(each.value is None for each in measure(TOOLS, [row], ["0"], seed=0))


def test_a_reference_in_words_that_reads_as_a_call_is_not_judged():
    row = evaluated("Hello", _JSON, calls=())
    assert not is_readable(row.item)


def test_a_prompt_without_tools_is_not_judged():
    row = evaluated(_JSON, "Hello")
    assert is_readable(row.item)
    assert all(each.value is None for each in measure(TOOLS, [row], ["0"], seed=0))
