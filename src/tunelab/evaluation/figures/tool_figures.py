"""Figures of answers that call tools, or must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from tunelab.evaluation.figures.figure import Figure, mean_figure, ratio
from tunelab.evaluation.figures.tool_calls import argument_hits, calls_in, is_readable, same_calls
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, ExpectedCall

Calls = Sequence[ExpectedCall]


def is_right_call(row: EvaluatedRow) -> bool | None:
    """Return whether an answer makes the calls of the reference, with their arguments.

    None without an answer, without tools, and if this template's calls cannot be read.
    """
    pair = _calls(row)
    return None if pair is None else same_calls(*pair)


def _calls(row: EvaluatedRow) -> tuple[Calls, Calls] | None:
    """Return the calls of an answer and of its reference; None if either is not known."""
    if row.answer is None or row.item.calls is None or not is_readable(row.item):
        return None
    return calls_in(row.answer.text), row.item.calls


def _of(measured: Callable[[Calls, Calls], float | None]) -> Callable[[EvaluatedRow], float | None]:
    """Return a function of a row that is one of the calls of its answer and of its reference."""

    def of(row: EvaluatedRow) -> float | None:
        pair = _calls(row)
        return None if pair is None else measured(*pair)

    return of


def _same_names(own: Calls, expected: Calls) -> float | None:
    return float([call.name for call in own] == [call.name for call in expected]) if expected else None


def _arguments(row: EvaluatedRow) -> tuple[float, float]:
    own, expected = _calls(row) or ((), ())
    right = number = 0
    for made, call in zip_longest(own[: len(expected)], expected):
        hits = argument_hits(made if made is not None and made.name == call.name else None, call)
        right, number = right + hits[0], number + hits[1]
    return float(right), float(number)


TOOLS: Sequence[Figure[EvaluatedRow]] = (
    mean_figure(
        "call_right",
        title="Calls right",
        meaning="answers with the calls of the reference, names and arguments, or with none where it makes none",
        better="higher",
        of=is_right_call,
        is_share=True,
    ),
    mean_figure(
        "call_name",
        title="Tool right",
        meaning="answers that call the right tools, of those that must call",
        better="higher",
        of=_of(_same_names),
        is_share=True,
    ),
    Figure(
        name="argument_accuracy",
        title="Arguments right",
        meaning="arguments with the right value, of those that reference or answer give; of wrong tools none",
        better="higher",
        summands=_arguments,
        value=lambda sums: ratio(sums[..., 0], sums[..., 1]),
    ),
    mean_figure(
        "called_unasked",
        title="Called unasked",
        meaning="answers that call a tool, of those that must not",
        better="lower",
        of=_of(lambda own, expected: None if expected else float(bool(own))),
        is_share=True,
    ),
    mean_figure(
        "missed_call",
        title="Call missed",
        meaning="answers without a call, of those that must call",
        better="lower",
        of=_of(lambda own, expected: float(not own) if expected else None),
        is_share=True,
    ),
)
"""Every figure of tool calls, in the order of a report."""
