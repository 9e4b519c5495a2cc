"""Results of parallel tool calls: which call each answers."""

from collections.abc import Iterator, Sequence

from tunelab.conversations.conversation import Message, ToolCall


def in_order_of_calls(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages, the results that follow parallel calls in the order of the calls.

    They are moved only if each carries the id of another of the calls; the same messages come back if nothing moves.
    """
    moved: list[Message] | None = None
    for start, calls, results in results_of_calls(messages):
        places: dict[str | None, int] = {call.id: place for place, call in enumerate(calls) if call.id is not None}
        placed = [(places.get(each.tool_call_id, -1), each) for each in results]
        order = [place for place, _ in placed]
        if order == sorted(order) or -1 in order or len(set(order)) < len(order) or len(places) < len(calls):
            continue
        moved = list(messages) if moved is None else moved
        moved[start : start + len(results)] = [each for _, each in sorted(placed, key=lambda pair: pair[0])]
    return messages if moved is None else moved


def results_of_calls(messages: Sequence[Message]) -> Iterator[tuple[int, tuple[ToolCall, ...], list[Message]]]:
    """Yield, for each message with calls, the index at which its results begin, the calls, and the results."""
    for index, message in enumerate(messages):
        if message.tool_calls:
            results: list[Message] = []
            for each in messages[index + 1 :]:
                if each.role != "tool":
                    break
                results.append(each)
            yield index + 1, message.tool_calls, results
