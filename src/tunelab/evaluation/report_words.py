"""A report in words and figures, the same in the terminal and on the page."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tunelab.errors import counted
from tunelab.evaluation.report import ComparisonSetting, Difference, Report

NO_RESULT = "–"
_POINTS = "\N{NO-BREAK SPACE}points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table of totals, all of it text."""

    name: str
    base: str
    tuned: str
    difference: str
    interval: str
    """The 95 % interval of the difference; a dash where none is computed."""
    side: Literal["better", "worse", "same", ""]
    """Which way the tuned model went; empty where no way is better."""
    meaning: str


def headline(report: Report) -> str:
    """Return one sentence that says how the comparison ended."""
    base, tuned = report.base, report.tuned
    if report.exact_match is not None and (base.exact_match or tuned.exact_match):
        return _sentence(report.exact_match, f"exact match {_percent(base.exact_match)}", _percent(tuned.exact_match))
    if report.chrf is not None:
        return _sentence(report.chrf, f"chrF {_number(base.chrf)}", _number(tuned.chrf))
    if base.loss is None or tuned.loss is None:
        return "Nothing was measured: no held-out row could be scored."
    way = "lower" if tuned.loss < base.loss else "not lower"
    return f"The tuned model's held-out loss is {way}: {_loss(base.loss)} before, {_loss(tuned.loss)} after."


def totals_table(report: Report) -> list[Line]:
    """Return the lines of the table of totals."""
    of_rows = f"answers equal to the reference, of {len(report.rows):,}"
    tokens, sequences = counted(report.num_trained_tokens, "token"), counted(report.num_sequences, "sequence")
    of_tokens = f"nats per token, on {tokens} of {sequences}"
    lines = [
        ("Exact match", "exact_match", _percent, True, of_rows),
        ("chrF", "chrf", _number, True, "closeness to the reference, 0 to 100, mean over rows"),
        ("Loss", "loss", _loss, False, of_tokens),
        ("Perplexity", "perplexity", _perplexity, False, "exp(loss): tokens it hesitates between"),
        ("Stopped by itself", "stopped", _percent, True, "answers that ended before the token limit"),
        ("Answer length", "answer_tokens", _number, None, "mean tokens per answer"),
    ]
    return [_line(report, name, field, style, up, meaning) for name, field, style, up, meaning in lines]


def how_sure(report: Report) -> str:
    """Return how the intervals were made, and why there is none."""
    differences = {"exact match": report.exact_match, "chrF": report.chrf}
    methods = [f"{name}: {each.method}" for name, each in differences.items() if each is not None and each.method]
    without = [name for name, each in differences.items() if each is not None and not each.method]
    words = [f"95 % intervals by {'; '.join(methods)}."] if methods else []
    if without:
        words.append(f"No interval for {' and '.join(without)}: it needs rows of ten conversations or sessions.")
    return " ".join(words)


def how_drawn(setting: ComparisonSetting) -> str:
    """Return how answers were drawn, e.g. ``sampled at temperature 0.7, seed 42, top_p 0.9``."""
    words = [f"sampled at temperature {setting.temperature}, seed {setting.seed}" if setting.temperature else "greedy"]
    for name in ("top_p", "top_k", "min_p", "repetition_penalty", "stop_strings"):
        value = getattr(setting, name)
        if name not in setting.at_default:
            texts = value if isinstance(value, tuple) else (value,)
            words.append(f"{name} {', '.join(json.dumps(text, ensure_ascii=False) for text in texts)}")
    return ", ".join(words)


def _sentence(difference: Difference, before: str, after: str) -> str:
    what = {"better": "is better", "worse": "is worse", "open": "is not shown to be better or worse"}
    return f"The tuned model {what[difference.verdict]}: {before} before, {after} after."


def _line(
    report: Report, name: str, field: str, style: Callable[[float | None], str], up: bool | None, meaning: str
) -> Line:
    base: float | None = getattr(report.base, field)
    tuned: float | None = getattr(report.tuned, field)
    difference = interval = NO_RESULT
    side: Literal["better", "worse", "same", ""] = ""
    if base is not None and tuned is not None:
        difference = _signed(tuned - base, style)
        if up is not None:
            side = "same" if tuned == base else "better" if (tuned > base) == up else "worse"
    measured = {"exact_match": report.exact_match, "chrf": report.chrf}.get(field)
    if measured is not None and measured.low is not None and measured.high is not None:
        low, high = _signed(measured.low, style), _signed(measured.high, style)
        interval = f"{low.removesuffix(_POINTS)} to {high}"
    return Line(
        name=name,
        base=style(base),
        tuned=style(tuned),
        difference=difference,
        interval=interval,
        side=side,
        meaning=meaning,
    )


def _percent(share: float | None) -> str:
    return NO_RESULT if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _number(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:,.1f}"


def _loss(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:.3f}"


def _perplexity(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:,.2f}" if value < 1e6 else f"{value:.1e}"


def _signed(difference: float, style: Callable[[float | None], str]) -> str:
    # A difference of percentages is in points: +5 % could be taken for a twentieth more.
    text = style(abs(difference)).replace("%", "points")
    rounds_to_zero = not any(digit in text for digit in "123456789")
    return text if rounds_to_zero else ("+" if difference > 0 else "\N{MINUS SIGN}") + text
