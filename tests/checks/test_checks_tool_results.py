"""Which call a result answers: its id says so, and a template without ids is given the order of the calls."""

from dataclasses import replace

import pytest
from check_contexts import context

from tunelab.checks.rules import tool_results
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.conversations.tool_results import in_order_of_calls
from tunelab.rendering.template_messages import Abilities, for_template
from tunelab.sources.row import Origin

CALLS = tuple(ToolCall(name=name, arguments={}, id=f"id-{name}") for name in ("a", "b", "c"))
ASK = Message(role="user", content="all three?")
CALLING = Message(role="assistant", tool_calls=CALLS)
RESULTS = tuple(Message(role="tool", content=f"of {call.name}", tool_call_id=call.id) for call in CALLS)
ANSWER = Message(role="assistant", content="done")


def talk(*results: Message, calls: Message = CALLING) -> Conversation:
    return Conversation(messages=(ASK, calls, *results, ANSWER), origin=Origin(path="t.jsonl", line=1))


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_results_go_where_their_calls_are_and_nothing_else_moves(order: tuple[int, ...]) -> None:
    given = talk(*(RESULTS[place] for place in order)).messages
    assert list(in_order_of_calls(given)) == [ASK, CALLING, *RESULTS, ANSWER]
    assert list(in_order_of_calls(given * 2)) == [ASK, CALLING, *RESULTS, ANSWER] * 2


@pytest.mark.parametrize(
    "results",
    [
        RESULTS,
        RESULTS[1:],
        (RESULTS[1], replace(RESULTS[0], tool_call_id="unknown")),
        (RESULTS[1], replace(RESULTS[0], tool_call_id=None)),
        (RESULTS[1], RESULTS[0], RESULTS[1]),
    ],
)
def test_results_stay_where_they_are_if_any_of_them_could_be_of_another_call(results: tuple[Message, ...]) -> None:
    given = talk(*results).messages
    assert in_order_of_calls(given) is given


def test_calls_without_ids_keep_their_results_in_place() -> None:
    calls = replace(CALLING, tool_calls=tuple(replace(call, id=None) for call in CALLS))
    given = talk(RESULTS[1], RESULTS[0], calls=calls).messages
    assert in_order_of_calls(given) is given


@pytest.mark.parametrize("writes_calls", [True, False])
def test_a_template_that_writes_ids_gets_the_order_of_the_data_and_another_that_of_the_calls(writes_calls) -> None:
    given = talk(*reversed(RESULTS)).messages

    def shown(abilities: Abilities) -> str:
        return str(for_template(given, (), abilities, with_preamble=False))

    by_id = shown(Abilities(tool_calls=True, call_ids=True))
    assert by_id.index("of c") < by_id.index("of a")
    by_place = shown(Abilities(tool_calls=writes_calls))
    assert by_place.index("of a") < by_place.index("of b") < by_place.index("of c")


def test_moved_results_are_a_note_where_the_template_writes_no_ids() -> None:
    train = [talk(*RESULTS), talk(*reversed(RESULTS))]
    (finding,) = tool_results.results_reordered(context(train=train, template=Abilities(tool_calls=True)))
    assert (finding.code, finding.severity, finding.count, finding.total) == ("tool_results_reordered", "note", 1, 2)
    assert not list(tool_results.results_reordered(context(train=train, template=Abilities(call_ids=True))))
    assert not list(tool_results.results_reordered(context(train=train)))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (talk(replace(RESULTS[0], name="b")), "message 3: a result of b for a call of a"),
        (talk(replace(RESULTS[1], tool_call_id=None, name="b")), "message 3: a result of b for a call of a"),
        (
            talk(*RESULTS, calls=replace(CALLING, tool_calls=(CALLS[0], replace(CALLS[1], id="id-a")))),
            "message 2: two calls share the id id-a",
        ),
    ],
)
def test_a_result_that_contradicts_its_call_is_a_finding(item: Conversation, words: str) -> None:
    (finding,) = tool_results.results_that_contradict(context(train=[talk(*RESULTS), item]))
    assert (finding.code, finding.severity, finding.count) == ("tool_result_contradicts", "warning", 1)
    assert finding.examples == (f"t.jsonl:1: {words}",)


def test_results_that_agree_with_their_calls_are_none() -> None:
    named = [replace(each, name=call.name) for each, call in zip(RESULTS, CALLS, strict=True)]
    without_ids = [replace(each, tool_call_id=None) for each in named]
    train = [talk(*reversed(named)), talk(*without_ids), talk(replace(RESULTS[0], tool_call_id="unknown", name="z"))]
    assert not list(tool_results.results_that_contradict(context(train=train)))
