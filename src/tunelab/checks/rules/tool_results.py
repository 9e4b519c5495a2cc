"""Checks of which call a tool's result answers: results in another order, results that contradict their call."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.conversations.tool_results import in_order_of_calls, results_of_calls


@rule("tool_results_reordered")
def results_reordered(context: CheckContext) -> Iterator[Finding]:
    """Results of parallel calls in another order than the calls, and a template that writes no ids."""
    if context.template is None or context.template.call_ids:
        return
    calling = _with_results(context)
    yield from found(
        [item for item in calling if in_order_of_calls(item.messages) is not item.messages],
        len(calling),
        "tool-calling conversation",
        "give results in another order than their calls: they are put in the order of the calls",
        code="tool_results_reordered",
        severity="note",
        why="This chat template writes no ids: it is by its place that a result belongs to a call.",
        remedy="Nothing needs to be done with tunelab; other servers must send results in the order of the calls.",
    )


@rule("tool_result_contradicts")
def results_that_contradict(context: CheckContext) -> Iterator[Finding]:
    """Results that name another tool than the call that they answer, and calls that share an id."""
    calling = _with_results(context)
    yield from found(
        [f"{item.origin}: {what}" for item in calling if (what := _contradiction(item))],
        len(calling),
        "tool-calling conversation",
        "hold results that contradict their calls",
        code="tool_result_contradicts",
        severity="warning",
        why="The model learns to take the result of one call for that of another.",
        remedy="Give each call an id of its own, and each result the id and the name of its call.",
    )


def _with_results(context: CheckContext) -> list[Conversation]:
    return [item for item in context.dataset.conversations if any(each.role == "tool" for each in item.messages)]


def _contradiction(item: Conversation) -> str:
    """Return the first contradiction; empty if there is none."""
    for start, calls, results in results_of_calls(item.messages):
        ids = [call.id for call in calls if call.id is not None]
        if len(set(ids)) < len(ids):
            return f"message {start}: two calls share the id {next(each for each in ids if ids.count(each) > 1)}"
        for place, result in enumerate(results):
            call = _call_of(result, place, calls)
            if call is not None and result.name not in (None, call.name):
                return f"message {start + place + 1}: a result of {result.name} for a call of {call.name}"
    return ""


def _call_of(result: Message, place: int, calls: tuple[ToolCall, ...]) -> ToolCall | None:
    """Return the call that a result answers: the one of its id or, without an id, the one of its place."""
    if result.tool_call_id is not None:
        return next((call for call in calls if call.id == result.tool_call_id), None)
    return calls[place] if place < len(calls) else None
