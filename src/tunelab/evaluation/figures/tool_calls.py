"""Tool calls in the text of an answer, and how far they are those of the reference."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.evaluation.figures.call_forms import FORMS
from tunelab.evaluation.figures.json_figures import equal_leaves, leaves
from tunelab.evaluation.rows.evaluated_row import ExpectedCall, Item

_END_OF_REASONING = "</think>"
_MISSING = object()


def calls_in(text: str) -> tuple[ExpectedCall, ...]:
    """Return the calls that an answer makes after its reasoning, in whichever form it writes them."""
    said = text.rpartition(_END_OF_REASONING)[2]
    return next((calls for form in FORMS if (calls := tuple(form(said)))), ())


def is_readable(item: Item) -> bool:
    """Return whether the calls of an item's reference, which are known, are those that are read from its text.

    If they are not, its template writes calls in a form that is not known here, and what an answer calls is unknown.
    """
    return item.calls is None or same_calls(calls_in(item.reference), item.calls)


def same_calls(first: Sequence[ExpectedCall], second: Sequence[ExpectedCall]) -> bool:
    """Return whether two answers make the same calls one after another, each with its arguments in any order."""
    return len(first) == len(second) and all(map(_same_call, first, second))


def argument_hits(call: ExpectedCall | None, expected: ExpectedCall) -> tuple[int, int]:
    """Return how many arguments of the expected call are right, and how many there are in either of the two."""
    due, own = _values(expected), _values(call)
    right = sum(equal_leaves(own.get(path, _MISSING), value) for path, value in due.items())
    return right, len(due.keys() | own.keys())


def _same_call(own: ExpectedCall, expected: ExpectedCall) -> bool:
    right, number = argument_hits(own, expected)
    return own.name == expected.name and right == number


def _values(call: ExpectedCall | None) -> dict[str, object]:
    """Return the values of a call's arguments by path; none of a call without arguments."""
    return dict(leaves(call.arguments)) if call is not None and call.arguments else {}
