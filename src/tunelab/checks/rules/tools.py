"""Checks of tool calls: names and arguments against the catalogue, calls against results."""

from collections import Counter
from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.checks.tool_catalog import Catalogues
from tunelab.conversations.conversation import Conversation, ToolCall
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import counted, guess

_NAMED = 8
"""Tools that a sentence names at most."""


@rule("tool_unknown", "tool_arguments", "tool_schema_broken", "tool_calls_without_catalog")
def calls_against_catalogue(context: CheckContext) -> Iterator[Finding]:
    """Trained calls whose tool is not offered, or whose arguments do not fit its schema."""
    catalogues = Catalogues()
    unknown: list[str] = []
    invalid: list[str] = []
    broken: dict[str, str] = {}
    total = offered = 0
    for item in context.dataset.conversations:
        catalogue = catalogues.of(item.tools) if item.tools else None
        for turn in trained_turns(item):
            for call in item.messages[turn].tool_calls:
                total += 1
                if catalogue is None:
                    continue
                offered += 1
                place = f"{item.origin}: message {turn + 1}"
                if call.name not in catalogue.names:
                    unknown.append(f"{place}: {call.name}. {guess(call.name, catalogue.names)}".strip())
                    continue
                arguments = catalogue.arguments(call.name)
                wrong = [each.wrong_with(call) for each in arguments]
                if wrong[0]:
                    which = _which_fits(wrong)
                    invalid.append(f"{place}: {call.name}: {which}{wrong[0]}")
                for fault in (each.fault for each in arguments if each.fault):
                    broken.setdefault(call.name, f"{item.origin}: {call.name}: the schema of its parameters {fault}")
    yield from found(
        unknown,
        offered,
        "trained tool call",
        "name a tool that their conversation does not offer",
        code="tool_unknown",
        severity="warning",
        why="The model learns to call what it is not given: such a call fails when it is served.",
        remedy="Correct the name, or put the tool into the catalogue (the row's tools, or data.tool_catalog).",
    )
    yield from found(
        invalid,
        offered,
        "trained tool call",
        "have arguments that do not fit their tool's schema",
        code="tool_arguments",
        severity="warning",
        why="The model learns calls that the program of the tool will refuse.",
        remedy="Correct the arguments, or the tool's parameters where the schema is out of date.",
    )
    yield from found(
        list(broken.values()),
        len({name for item in context.dataset.conversations if item.tools for name in catalogues.of(item.tools).names}),
        "tool",
        "have parameters that arguments cannot be checked against",
        code="tool_schema_broken",
        severity="warning",
        why="Chat templates show it to the model as it is, and serving engines refuse a broken schema.",
        remedy='Write parameters as JSON Schema: {"type": "object", "properties": {…}, "required": […]}.',
    )
    yield from found(
        range(total - offered),
        total,
        "trained tool call",
        "are in conversations that offer no tools",
        code="tool_calls_without_catalog",
        severity="note",
        examples=[
            str(item.origin) for item in context.dataset.conversations if not item.tools and _trained_calls(item)
        ][:3],
        why="Names and arguments cannot be checked, and the model learns to call tools that its prompt does not name.",
        remedy="Give the rows their tools, or set data.tool_catalog; without a catalogue on purpose, go on.",
    )


@rule("tool_defined_twice")
def tools_defined_twice(context: CheckContext) -> Iterator[Finding]:
    """Conversations whose catalogue gives one name to two tools."""
    catalogues = Catalogues()
    with_tools = [(item, catalogues.of(item.tools)) for item in context.dataset.conversations if item.tools]
    torn = [(item, catalogue) for item, catalogue in with_tools if catalogue.twice]
    yield from found(
        torn,
        len(with_tools),
        "tool catalogue",
        "name a tool twice",
        code="tool_defined_twice",
        severity="warning",
        examples=[f"{item.origin}: {', '.join(catalogue.twice)}" for item, catalogue in torn[:3]],
        why="Which of the two a call means is left to chance. Arguments are checked against each; those that the first "
        "refuses are reported as tool_arguments.",
        remedy="Keep one definition of each tool.",
    )


@rule("tool_never_called")
def tools_never_called(context: CheckContext) -> Iterator[Finding]:
    """Tools that conversations offer and none calls."""
    catalogues = Catalogues()
    offers: Counter[str] = Counter()
    first: dict[str, str] = {}
    called = {call.name for item in context.dataset.conversations for each in item.messages for call in each.tool_calls}
    for item in context.dataset.conversations:
        for name in catalogues.of(item.tools).names if item.tools else ():
            offers[name] += 1
            first.setdefault(name, str(item.origin))
    never = [name for name, _ in offers.most_common() if name not in called]
    more = f" and {len(never) - _NAMED:,} more" if len(never) > _NAMED else ""
    yield from found(
        never,
        len(offers),
        "offered tool",
        f"are never called: {', '.join(never[:_NAMED])}{more}",
        code="tool_never_called",
        severity="note",
        examples=[f"{first[name]}: {name}, offered by {counted(offers[name], 'conversation')}" for name in never[:3]],
        why="The model sees them in every prompt and learns that they are of no use.",
        remedy="Add rows that call them, or leave them out of the catalogue.",
    )


@rule("tool_call_without_result", "tool_result_without_call")
def calls_and_results(context: CheckContext) -> Iterator[Finding]:
    """Conversations in which a call is not answered by a result, or a result answers no call."""
    unanswered: list[str] = []
    orphans: list[str] = []
    chats = context.dataset.conversations
    talking = [item for item in chats if any(m.tool_calls or m.role == "tool" for m in item.messages)]
    for item in talking:
        without_result, without_call = _unpaired(item)
        unanswered += [f"{item.origin}: message {without_result}"] if without_result else []
        orphans += [f"{item.origin}: message {without_call}"] if without_call else []
    yield from found(
        unanswered,
        len(talking),
        "tool-calling conversation",
        "go on without the result of a call",
        code="tool_call_without_result",
        severity="warning",
        why="The model learns to go on as if it had seen the result: it makes results up.",
        remedy="Put the result after the call as a tool message, or remove the call.",
    )
    yield from found(
        orphans,
        len(talking),
        "tool-calling conversation",
        "hold a tool result that answers no call",
        code="tool_result_without_call",
        severity="warning",
        why="Many chat templates refuse it; others show the model a result that it never called for.",
        remedy="Put the call before the result (an assistant message with tool_calls), or correct its tool_call_id.",
    )


def _which_fits(wrong: list[str]) -> str:
    """Return what to say first of a call that the first of several definitions refuses; `wrong` is what each says."""
    if len(wrong) == 1:
        return ""
    fits = next((number for number, each in enumerate(wrong, start=1) if not each), None)
    which = "fits none" if fits is None else f"fits only number {fits}"
    return f"{which} of its {len(wrong)} definitions; by the first, "


def _trained_calls(item: Conversation) -> bool:
    return any(item.messages[turn].tool_calls for turn in trained_turns(item))


def _unpaired(item: Conversation) -> tuple[int, int]:
    """Return the numbers of the first message with an unanswered call and of the first result without call; 0: none.

    Calls at the end of a conversation have no results yet, which is no fault.
    """
    without_result = without_call = 0
    pending: list[ToolCall] = []
    caller = 0
    for number, message in enumerate(item.messages, start=1):
        if message.role == "tool":
            named = [call for call in pending if call.id is not None and call.id == message.tool_call_id]
            # If call or result carries no id, results answer in the order of the calls.
            loose = [call for call in pending if call.id is None or message.tool_call_id is None]
            if answered := (named or loose)[:1]:
                pending.remove(answered[0])
            else:
                without_call = without_call or number
        elif message.role != "system":
            without_result = without_result or (caller if pending else 0)
            pending, caller = list(message.tool_calls), number
    return without_result, without_call
