"""Figures of answers that call tools, or must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tunelab.evaluation.figures.figure import Figure, mean_figure, ratio
from tunelab.evaluation.figures.tool_calls import argument_hits, calls_in, same_calls
from tunelab.evaluation.rows.row import EvaluatedRow, ExpectedCall

Calls = Sequence[ExpectedCall]


def is_right_call(row: EvaluatedRow) -> bool | None:
    """Return whether an answer makes the calls of the reference, with their arguments; None without an answer."""
    if row.answer is None or row.item.calls is None:
        return None
    return same_calls(calls_in(row.answer.text), row.item.calls)


def _of(measured: Callable[[Calls, Calls], float | None]) -> Callable[[EvaluatedRow], float | None]:
    """Return a function of the calls of an answer and of its reference; None if the prompt offers no tools."""

    def of(row: EvaluatedRow) -> float | None:
        if row.answer is None or row.item.calls is None:
            return None
        return measured(calls_in(row.answer.text), row.item.calls)

    return of


def _same_names(own: Calls, expected: Calls) -> float | None:
    return float([call.name for call in own] == [call.name for call in expected]) if expected else None


def _arguments(row: EvaluatedRow) -> tuple[float, float]:
    if row.answer is None or not row.item.calls:
        return 0.0, 0.0
    own = calls_in(row.answer.text)
    pairs = [(own[place] if place < len(own) else None, call) for place, call in enumerate(row.item.calls)]
    hits = [argument_hits(made if made and made.name == call.name else None, call) for made, call in pairs]
    return float(sum(right for right, _ in hits)), float(sum(number for _, number in hits))


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
