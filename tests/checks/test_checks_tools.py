"""Tool calls are held against the catalogue, and calls against their results."""

import time
from collections.abc import Mapping

import pytest
from check_contexts import chats, context

from tunelab.checks.check import check
from tunelab.checks.finding import Finding
from tunelab.checks.tool_catalog import Catalogues
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.sources.row import Origin

BOOK = {
    "type": "object",
    "properties": {
        "flight": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"},
        "seats": {"type": "integer"},
        "cabin": {"enum": ["economy", "business"]},
    },
    "required": ["flight", "seats"],
}


def tool(name: str, parameters: object = None) -> Mapping[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": BOOK if parameters is None else parameters}}


def said(role: str, content: str | None = "so", *calls: ToolCall, **fields: object) -> Message:
    return Message(role=role, content=content, tool_calls=calls, **fields)  # type: ignore[arg-type]


def calling(name: str = "book", arguments: Mapping[str, object] | None = None, **fields: object) -> Conversation:
    right = {"flight": "LH1", "seats": 2} if arguments is None else arguments
    call = ToolCall(name=name, arguments=right)
    settings: dict[str, object] = {"tools": (tool("book"),), "origin": Origin(path="calls.jsonl", line=7), **fields}
    return Conversation(messages=(said("user"), said("assistant", None, call)), **settings)  # type: ignore[arg-type]


def talk(*messages: Message) -> Conversation:
    return Conversation(messages=messages, tools=(tool("book"),), origin=Origin(path="talk.jsonl", line=3))


def findings(*conversations: Conversation) -> dict[str, Finding]:
    return {each.code: each for each in check(context(train=[*chats(20), *conversations]))}


def test_a_right_call_is_no_finding() -> None:
    assert not findings(calling())


def test_a_tool_that_is_not_offered_is_named_with_the_nearest_that_is() -> None:
    finding = findings(calling("boook"))["tool_unknown"]
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 1)
    assert finding.examples == ('calls.jsonl:7: message 2: boook. Did you mean "book"?',)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"flight": "LH1"}, "seats is missing"),
        ({}, "flight, seats are missing"),
        ({"flight": "LH1", "seats": "two"}, "seats is text, and the schema requires integer"),
        ({"flight": "LH1", "seats": None}, "seats is null, and the schema requires integer"),
        ({"flight": "LH1", "seats": 2, "cabin": "roof"}, "cabin is none of the 2 allowed values"),
        ({"flight": "one", "seats": 2}, "flight breaks the rule pattern of the schema"),
        ({"flight": "LH1", "seats": 2, "cabn": 1}, 'the tool has no argument "cabn". Did you mean "cabin"?'),
    ],
)
def test_pain_12_arguments_that_the_schema_refuses_are_told_in_words_and_without_values(
    arguments: Mapping[str, object], told: str
) -> None:
    finding = findings(calling(arguments=arguments))["tool_arguments"]
    assert finding.examples == (f"calls.jsonl:7: message 2: book: {told}",)
    assert "roof" not in finding.examples[0]


def test_only_trained_calls_are_held_against_the_catalogue() -> None:
    call = said("assistant", None, ToolCall(name="nowhere", arguments={}))
    rows = talk(said("user"), call, said("tool"), said("assistant"))
    assert "tool_unknown" in findings(rows)
    logged = Conversation(messages=rows.messages, tools=rows.tools, train="last", origin=rows.origin)
    assert "tool_unknown" not in findings(logged)


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"a": {"type": "txt"}}},
        {"city": "string"},
        ["city"],
        {"type": "string"},
        {"type": "object", "properties": {"flight": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"flight": {"$ref": "https://schemas.example/flight.json"}}},
        {"type": "object", "properties": {"flight": {"pattern": "(?=look)"}}},
        {"type": "object", "patternProperties": {"(a+)+$": {}}},
    ],
    ids=repr,
)
def test_a_broken_schema_is_a_finding_and_no_crash(parameters: object) -> None:
    found = findings(calling(tools=(tool("book", parameters),)))
    assert (found["tool_schema_broken"].count, found["tool_schema_broken"].total) == (1, 1)
    assert found["tool_schema_broken"].examples[0].startswith("calls.jsonl:7: book: the schema of its parameters ")
    assert "tool_arguments" not in found


def test_a_schema_whose_references_multiply_ends_in_bounded_time() -> None:
    doors = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    parameters = {"type": "object", "properties": {"flight": {"$ref": "#/$defs/d0"}}, "$defs": {**doors, "d40": {}}}
    began = time.process_time()
    assert "10,000 references" in findings(calling(tools=(tool("book", parameters),)))["tool_schema_broken"].examples[0]
    assert time.process_time() - began < 5


def test_a_pattern_that_never_ends_in_python_ends_here() -> None:
    parameters = {"type": "object", "properties": {"flight": {"pattern": "^(a+)+$"}}}
    row = calling(arguments={"flight": "a" * 40 + "b"}, tools=(tool("book", parameters),))
    began = time.process_time()
    assert "tool_arguments" in findings(row)
    assert time.process_time() - began < 5


def test_calls_without_a_catalogue_are_a_note() -> None:
    finding = findings(calling(tools=()), calling())["tool_calls_without_catalog"]
    assert (finding.severity, finding.count, finding.total) == ("note", 1, 2)
    assert finding.examples == ("calls.jsonl:7",)


def test_a_tool_that_nobody_calls_is_a_note_with_its_name() -> None:
    finding = findings(calling(tools=(tool("book"), tool("cancel"))))["tool_never_called"]
    assert (finding.severity, finding.count, finding.total) == ("note", 1, 2)
    assert finding.summary.endswith("never called: cancel")


def test_one_name_for_two_tools_is_found() -> None:
    finding = findings(calling(tools=(tool("book"), tool("book", {"type": "object"}))))["tool_defined_twice"]
    assert finding.examples == ("calls.jsonl:7: book",)
    assert finding.summary == "1 of 1 tool catalogue (100.0 %) name a tool twice"


def test_a_call_of_a_tool_defined_twice_is_checked_against_each_definition() -> None:
    strict = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
    wrong = {"flight": 7}
    none = findings(calling(arguments=wrong, tools=(tool("book"), tool("book", strict))))["tool_arguments"]
    assert "calls.jsonl:7: message 2: book: fits none of its 2 definitions; by the first, " in none.examples[0]
    later = findings(calling(arguments=wrong, tools=(tool("book"), tool("book", {"type": "object"}))))["tool_arguments"]
    assert "book: fits only number 2 of its 2 definitions; by the first, " in later.examples[0]
    assert "tool_arguments" not in findings(calling(tools=(tool("book"), tool("book", strict))))


def test_a_call_that_is_not_answered_before_the_talk_goes_on_is_found() -> None:
    call = ToolCall(name="book", arguments={"flight": "LH1", "seats": 1})
    for behind in (said("user"), said("assistant")):
        finding = findings(talk(said("user"), said("assistant", None, call), behind))["tool_call_without_result"]
        assert finding.examples == ("talk.jsonl:3: message 2",)
        assert finding.summary == "1 of 1 tool-calling conversation (100.0 %) go on without the result of a call"
    assert "tool_call_without_result" not in findings(talk(said("user"), said("assistant", None, call)))
    answered = talk(said("user"), said("assistant", None, call), said("tool"), said("assistant"))
    assert not findings(answered)


def test_of_two_calls_each_wants_its_result_by_id_or_in_order() -> None:
    right = {"flight": "LH1", "seats": 1}
    first, second = (ToolCall(name="book", arguments=right, id=name) for name in ("a", "b"))
    opening = (said("user"), said("assistant", None, first, second))
    result_a, result_b = said("tool", tool_call_id="a"), said("tool", tool_call_id="b")
    assert not findings(talk(*opening, result_b, result_a, said("assistant")))
    assert not findings(talk(*opening, said("tool"), said("tool"), said("assistant")))
    assert "tool_call_without_result" in findings(talk(*opening, result_a, said("assistant")))
    twice = findings(talk(*opening, result_a, result_a, said("assistant")))
    assert set(twice) == {"tool_call_without_result", "tool_result_without_call"}


def test_a_result_that_answers_no_call_is_found() -> None:
    finding = findings(talk(said("user"), said("tool"), said("assistant")))["tool_result_without_call"]
    assert (finding.severity, finding.examples) == ("warning", ("talk.jsonl:3: message 2",))


def test_equal_tools_of_other_rows_are_compiled_once() -> None:
    catalogues = Catalogues()
    one, other = catalogues.of((tool("book"),)), catalogues.of((tool("book"), tool("cancel")))
    assert one is catalogues.of((tool("book"),))
    assert one.arguments("book")[0] is other.arguments("book")[0]
