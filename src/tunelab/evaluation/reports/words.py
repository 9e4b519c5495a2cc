"""A report in words and figures, the same in the terminal and on the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from tunelab.errors import counted
from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.figures.measure import FigureChange
from tunelab.evaluation.reports.report import GeneralChange, Report, TaskReport, Verdict
from tunelab.evaluation.statistics.gaps import Gap
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.several import holm
from tunelab.generation.completion import Sampling

NO_RESULT = "–"
_POINTS = "\N{NO-BREAK SPACE}points"
_OF_A_CLASS = "f1:"
_LEVEL = 0.05
Style = Callable[[float | None], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table of figures, all of it text."""

    name: str
    title: str
    before: str
    after: str
    difference: str
    interval: str
    """The 95 % interval of the difference; a dash where none is computed."""
    verdict: Verdict | None
    """None of figures of which neither way is better."""
    meaning: str


def headline(report: Report) -> str:
    """Return one sentence that says how the comparison ended."""
    task = report.tasks[0]
    change = _change(task, task.first_figure)
    line = next(line for line in task_lines(task) if line.name == task.first_figure)
    if task.first_figure == "exact_match" and not change.before.value and not change.after.value:
        change, line = _change(task, "mean_chrf"), next(each for each in task_lines(task) if each.name == "mean_chrf")
    if change.value is None:
        loss = next((each for each in task_lines(task) if each.name == "loss"), None)
        if loss is None or loss.after == NO_RESULT:
            return "Nothing was measured: no row could be scored."
        line = loss
    what = {
        "better": "is better",
        "worse": "is worse",
        "not shown": "is not shown to be better or worse",
    }[line.verdict or "not shown"]
    title = line.title if line.title[:2] in ("F1", "ch", "BL") else line.title.lower()
    return f"{_name_after(report)} {what}: {title} {line.before} before, {line.after} after."


def cost_sentence(report: Report) -> str:
    """Return what general text costs, one sentence; empty if it was not measured."""
    sentences = []
    for change in report.general:
        what = "General text" if change.name == "general" else change.name
        sentences.append(f"{what}: {_signed(change.increase, _nats)} nats a token{_between(change)}.")
    return " ".join(sentences)


def task_lines(task: TaskReport, *, with_classes: bool = False) -> list[Line]:
    """Return the lines of a task's table of figures.

    Args:
        with_classes: the F1 of each label, too.
    """
    figures = {each.name: each for each in figures_of(task.kinds, labels=task.labels)}
    lines = []
    for change in task.figures:
        if change.name.startswith(_OF_A_CLASS) and not with_classes:
            continue
        figure = figures.get(change.name)
        style = style_of(change.name)
        lines.append(
            Line(
                name=change.name,
                title=figure.title if figure else change.name,
                before=style(change.before.value),
                after=style(change.after.value),
                difference=NO_RESULT if change.value is None else _signed(change.value, style),
                interval=interval_words(change.interval, style),
                verdict=task.verdicts.get(change.name),
                meaning=figure.meaning if figure else "",
            )
        )
    return lines


def how_sure(task: TaskReport) -> str:
    """Return how the intervals of a task were made, and of which figures there is none."""
    methods: dict[str, list[str]] = {}
    without = []
    titles = {line.name: line.title for line in task_lines(task)}
    for change in task.figures:
        if change.name not in titles or change.value is None:
            continue
        if change.interval is None:
            without.append(titles[change.name])
        else:
            methods.setdefault(change.interval.method, []).append(titles[change.name])
    rarest = sorted(methods, key=lambda method: len(methods[method]))
    parts = [f"{', '.join(methods[method])}: {method}" for method in rarest[:-1]]
    parts += [f"{'all others' if parts else 'all'}: {method}" for method in rarest[-1:]]
    words = [f"95 % intervals by {'; '.join(parts)}."] if parts else []
    if task.shown_difference is not None:
        points = f"{100 * task.shown_difference:.1f} points"
        words.append(f"With so many rows, a difference of {points} is shown four times in five.")
    if without:
        words.append(f"No interval for {', '.join(without)}: it needs rows of ten conversations or sessions.")
    return " ".join(words)


def how_sampled(sampling: Mapping[str, object]) -> str:
    """Return how answers were sampled, e.g. ``sampled at temperature 0.7, seed 42, top_p 0.9``."""
    defaults = {each.name: each.default for each in fields(Sampling)}
    temperature = sampling.get("temperature")
    words = [f"sampled at temperature {temperature}, seed {sampling.get('seed')}" if temperature else "greedy"]
    for name in ("top_p", "top_k", "min_p", "repetition_penalty", "stop_strings"):
        value = sampling.get(name)
        if value is not None and value != defaults[name] and value != []:
            texts = value if isinstance(value, tuple | list) else (value,)
            words.append(f"{name} {', '.join(json.dumps(text, ensure_ascii=False) for text in texts)}")
    return ", ".join(words)


def caveats(report: Report) -> list[str]:
    """Return what a reader must know before the figures are believed."""
    found = []
    if report.num_in_training:
        rows = counted(report.num_in_training, "row")
        found.append(f"{rows} have a prompt that was trained on (contamination): memory may answer them.")
    answered = sum(task.num_rows for task in report.tasks)
    if report.num_cut and answered:
        share = f"{100 * report.num_cut / answered:.0f} %"
        found.append(f"{counted(report.num_cut, 'answer')} ({share}) were cut by the token limit.")
    if report.noise_floor:
        share = f"{100 * report.noise_floor:.0f} %"
        found.append(f"Asked again in another order, {share} of some rows are answered otherwise: less is noise.")
    gaps = [each for task in report.tasks for each in task.gaps.items()]
    adjusted = holm([gap.p for _, gap in gaps])
    found += [_gap_words(*each) for each, p in zip(gaps, adjusted, strict=True) if p <= _LEVEL]
    for some in report.left_out:
        found.append(f"Left out: {some.count:,} × {some.reason} (first: {some.example})")
    return found


def _gap_words(name: str, gap: Gap) -> str:
    best, worst = (some(gap.groups, key=lambda group: group.rate) for some in (max, min))
    return (
        f"By {name}, right answers differ by {100 * gap.value:.1f} points: {best.name} {100 * best.rate:.0f} %,"
        f" {worst.name} {100 * worst.rate:.0f} %. Without any difference, 95 of 100 models stay below"
        f" {100 * gap.by_luck:.1f} points on these rows."
    )


def style_of(name: str) -> Style:
    """Return how values of a figure are written."""
    return _STYLES.get(name, _three)


def interval_words(interval: Interval | None, style: Style, *, signed: bool = True) -> str:
    """Return an interval's ends, e.g. ``+1.0 to +2.5 points``."""
    if interval is None:
        return NO_RESULT
    low, high = (_signed(end, style) if signed else style(end) for end in (interval.low, interval.high))
    return f"{low.removesuffix(_POINTS)} to {high}"


def _between(change: GeneralChange) -> str:
    if change.interval is None:
        return ""
    return f" ({_signed(change.interval.low, _nats)} to {_signed(change.interval.high, _nats)})"


def _change(task: TaskReport, name: str) -> FigureChange:
    return next(change for change in task.figures if change.name == name)


def _name_after(report: Report) -> str:
    if report.before.name.startswith("base:"):
        return "The tuned model"
    return f"{report.after.name}, against {report.before.name},"


def _percent(share: float | None) -> str:
    return NO_RESULT if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _number(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:,.1f}"


def _three(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:.3f}"


def _nats(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:.2f}"


def _perplexity(value: float | None) -> str:
    return NO_RESULT if value is None else f"{value:,.2f}" if abs(value) < 1e6 else f"{value:.1e}"


_PERCENT = (
    "exact_match normalised_match stopped accuracy choice_accuracy off_list call_right call_name argument_accuracy"
    " called_unasked missed_call json_equal json_valid schema_valid field_accuracy"
)
_STYLES: Mapping[str, Style] = {
    **dict.fromkeys(_PERCENT.split(), _percent),
    **dict.fromkeys(("chrf", "mean_chrf", "bleu", "answer_tokens"), _number),
    "perplexity": _perplexity,
}


def _signed(difference: float, style: Style) -> str:
    # A difference of percentages is in points: +5 % could be taken for a twentieth more.
    text = style(abs(difference)).replace("%", "points")
    rounds_to_zero = not any(digit in text for digit in "123456789")
    return text if rounds_to_zero else ("+" if difference > 0 else "\N{MINUS SIGN}") + text
