"""A report in sentences, the same in the terminal and on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tunelab.errors import counted, listed
from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.figures.measure import FigureChange
from tunelab.evaluation.reports.numbers import difference_in_words, in_words, interval_in_words
from tunelab.evaluation.reports.report import ComparedRow, GeneralChange, Outcome, Report, TaskReport, Verdict
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, TaskKind
from tunelab.evaluation.statistics.gaps import Gap
from tunelab.evaluation.statistics.groups import FEWEST_GROUPS
from tunelab.evaluation.statistics.several import holm

OUTCOMES: dict[Outcome, str] = {
    "broken": "Broken",
    "wrong": "Still wrong",
    "fixed": "Fixed",
    "right": "Still right",
}
"""In the order in which rows are read."""
_VERDICTS: dict[Verdict, str] = {
    "better": "is better",
    "worse": "is worse",
    "not shown": "is not shown to be better or worse",
}
_NAME_CHARACTERS = 60
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table of figures, all of it text."""

    name: str
    """As gates name the figure."""
    title: str
    before: str
    after: str
    difference: str
    interval: str
    """The 95 % interval of the difference; a dash if there is none."""
    verdict: Verdict | Literal[""]
    """What is shown; empty if neither way is better."""
    meaning: str


def headline(report: Report) -> str:
    """Return one sentence that says how the comparison ended."""
    measured = [task for task in report.tasks if first_change(task) is not None]
    if not measured:
        return "Nothing was measured: no row could be scored."
    _, after = model_names(report)
    if len(measured) == 1:
        task, change = measured[0], first_change(measured[0])
        assert change is not None
        values = (
            f"{in_words(change.name, change.before.value)} before, {in_words(change.name, change.after.value)} after"
        )
        return f"The {after} {_VERDICTS[verdict_of(task)]}: {_lowered(title_of(task, change.name))} {values}."
    parts = []
    for verdict, words in _VERDICTS.items():
        if names := [_cut(task.name) for task in measured if verdict_of(task) == verdict]:
            parts.append(f"{words} on {listed(names)}")
    return f"The {after} {'; it '.join(parts)}."


def rows_in_words(rows: Sequence[ComparedRow]) -> str:
    """Return how many rows are fixed, broken and unchanged."""
    count = Counter(row.outcome for row in rows)
    same = count["right"] + count["wrong"]
    of_same = f" ({count['right']:,} right, {count['wrong']:,} wrong)" if same else ""
    fixed = counted(count["fixed"], "row")
    return f"{fixed} fixed, {count['broken']:,} broken, {same:,} unchanged{of_same}."


def how_sure(report: Report) -> str:
    """Return how the intervals of differences were made, and why some have none."""
    changes = [change for task in report.tasks for change in task.figures if change.value is not None]
    methods = dict.fromkeys(change.interval.method for change in changes if change.interval is not None)
    words = [f"95 % intervals of the differences: {'; '.join(methods)}."] if methods else []
    if any(change.interval is None for change in changes):
        words.append(f"A dash: {FEWEST_GROUPS} conversations or sessions that differ are needed for an interval.")
    if methods:
        words.append("Better and worse are said so that all of a task are right together in 95 of 100 cases (Holm).")
    for task in report.tasks:
        if task.shown_difference is not None:
            of = f" of {task.name}" if len(report.tasks) > 1 else ""
            points = f"{100 * task.shown_difference:.1f} points"
            words.append(f"With so many rows{of}, a difference of {points} is shown four times in five.")
    return " ".join(words)


def totals_table(task: TaskReport) -> list[Line]:
    """Return the lines of the table of a task's figures, but for those of which nothing was measured."""
    return [_line(task, change) for change in task.figures if change.value is not None]


def sampling_in_words(report: Report) -> str:
    """Return how answers were sampled, e.g. ``greedy, max_new_tokens 64``."""
    settings = dict(report.sampling)
    temperature = settings.pop("temperature", 0)
    words = [f"temperature {temperature}" if temperature else "greedy"]
    hidden = () if temperature else ("seed", "top_p", "top_k", "min_p")
    words += [
        f"{name} {value}" for name, value in settings.items() if name not in hidden and value not in ((), [], None)
    ]
    return ", ".join(words)


def general_in_words(change: GeneralChange) -> str:
    """Return what training costs on general text, e.g. ``+0.020 nats a token (+0.010 to +0.030)``."""
    within = interval_in_words("loss", change.interval, of_difference=True)
    ends = f" ({within})" if change.interval is not None else " (no interval: too few texts)"
    return f"{difference_in_words('loss', change.increase)} nats a token{ends}"


def caveats(report: Report) -> list[str]:
    """Return what a reader must know before the figures are believed, a sentence each."""
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
    found += [_gap_in_words(*each) for each, p in zip(gaps, adjusted, strict=True) if p <= _LEVEL]
    found += [
        f"Where {each.slice_field} is {_cut(each.value)}, the calibration error is {each.error.value:.3f}: beyond luck"
        f" ({each.error.by_luck:.3f}) on these {counted(each.num_rows, 'row')}."
        for task in report.tasks
        for each in task.calibration_slices
        if each.is_worth_a_look
    ]
    found += [f"Left out: {some.count:,} × {some.reason} (first: {some.example})" for some in report.left_out]
    return found


def _gap_in_words(name: str, gap: Gap) -> str:
    best, worst = (some(gap.groups, key=lambda group: group.rate) for some in (max, min))
    return (
        f"By {name}, right answers differ by {100 * gap.value:.1f} points: {_cut(best.name)} {100 * best.rate:.0f} %,"
        f" {_cut(worst.name)} {100 * worst.rate:.0f} %. Without any difference, 95 of 100 models stay below"
        f" {100 * gap.by_luck:.1f} points on these rows."
    )


def model_names(report: Report) -> tuple[str, str]:
    """Return what the two models are called: base and tuned model, or by their names if the first is tuned, too."""
    if report.before.adapter or not report.after.adapter:
        return _cut(report.before.name), f"model {_cut(report.after.name)}"
    return "base", "tuned model"


def column_names(report: Report) -> tuple[str, str]:
    """Return what heads the columns of the two models."""
    if report.before.adapter or not report.after.adapter:
        return _cut(report.before.name), _cut(report.after.name)
    return "Base", "Tuned"


def first_change(task: TaskReport) -> FigureChange | None:
    """Return the figure that a task is judged by; None if it was not measured."""
    found = next((change for change in task.figures if change.name == task.first_figure), None)
    return None if found is None or found.value is None else found


def verdict_of(task: TaskReport) -> Verdict:
    """Return what is shown of the figure that a task is judged by."""
    return task.verdicts.get(task.first_figure, "not shown")


def title_of(task: TaskReport, name: str) -> str:
    """Return a figure's title, e.g. ``Exact match``."""
    figure = _figure(task, name)
    return name.replace("_", " ").capitalize() if figure is None else figure.title


def gain(task: TaskReport, change: FigureChange) -> float:
    """Return a difference as far as it is for the better: negative if the figure got worse."""
    figure = _figure(task, change.name)
    value = change.value or 0.0
    return -value if figure is not None and figure.better == "lower" else value


def _line(task: TaskReport, change: FigureChange) -> Line:
    figure = _figure(task, change.name)
    verdict: Verdict | Literal[""] = task.verdicts.get(change.name, "")
    return Line(
        name=change.name,
        title=title_of(task, change.name),
        before=in_words(change.name, change.before.value),
        after=in_words(change.name, change.after.value),
        difference=difference_in_words(change.name, change.value),
        interval=interval_in_words(change.name, change.interval, of_difference=True),
        verdict=verdict,
        meaning="; ".join(_meaning(figure, change)),
    )


def _meaning(figure: Figure[EvaluatedRow] | None, change: FigureChange) -> Iterator[str]:
    if figure is not None:
        yield figure.meaning
    yield counted(change.after.num_rows, "row")


def _figure(task: TaskReport, name: str) -> Figure[EvaluatedRow] | None:
    return _figures(task.kinds, task.labels).get(name)


@lru_cache(maxsize=64)
def _figures(kinds: tuple[TaskKind, ...], labels: tuple[str, ...]) -> Mapping[str, Figure[EvaluatedRow]]:
    return {figure.name: figure for figure in figures_of(kinds, labels=labels, schema={})}


def _lowered(title: str) -> str:
    """Return a title inside of a sentence; abbreviations stay."""
    return title[:1].lower() + title[1:] if title[1:2].islower() and title != "chrF" else title


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 2] + " …"
