"""Can I trust it: how many rows, how noisy the instrument, what was left out, who judged, how well calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunelab.errors import counted
from tunelab.evaluation.judging.judge_words import criterion_in_words, judge_caveats
from tunelab.evaluation.reports.numbers import difference_in_words, in_words, is_share
from tunelab.evaluation.reports.report import Report, TaskReport
from tunelab.evaluation.reports.words import first_change
from tunelab.evaluation.statistics.groups import FEW_GROUPS, FEWEST_GROUPS

_OFF_LIST = 0.1
"""Above it, the confidence in the labels is of a small part of what the model would say."""

_GOOD_KAPPA = 0.6
"""From it on a judge agrees with people well enough to stand for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A reason to trust the figures, or not to."""

    title: str
    sentence: str
    state: Literal["fine", "doubtful", "unknown"]


def grounds(report: Report) -> list[Ground]:
    """Return the grounds, in the order of the page."""
    tasks = [task for task in report.tasks if first_change(task) is not None]
    several = len(tasks) > 1
    found = [*(_rows(task, several) for task in tasks), _noise(report), _contamination(report), _cut(report)]
    found += _left_out(report)
    found += _judge(report)
    for task in tasks:
        found += _calibration(task, several)
    return found


def _rows(task: TaskReport, several: bool) -> Ground:
    rows = counted(task.num_rows, "row")
    words = (
        f"{rows}, each on its own" if task.num_rows == task.num_groups else f"{rows} in {task.num_groups:,} sessions"
    )
    few = task.num_groups < FEW_GROUPS
    if task.num_groups < FEWEST_GROUPS:
        words += "; too few for most intervals"
    elif few:
        words += "; few, so that intervals are wide"
    if task.shown_difference is not None:
        shown = difference_in_words(task.first_figure, task.shown_difference).lstrip("+")
        words += f"; a difference of {shown} can be shown"
    return Ground(title=_of("Rows", task, several), sentence=words, state="doubtful" if few else "fine")


def _noise(report: Report) -> Ground:
    if report.noise_floor is None:
        return Ground(title="Noise floor", sentence="not measured", state="unknown")
    share = in_words("accuracy", report.noise_floor)
    sentence = f"{share} of answers change when they are asked again in another batch order"
    changes = [change for task in report.tasks if (change := first_change(task)) is not None and is_share(change.name)]
    if any(0 < abs(change.value or 0.0) <= report.noise_floor for change in changes):
        return Ground(title="Noise floor", sentence=f"{sentence}: as much as the difference", state="doubtful")
    return Ground(title="Noise floor", sentence=sentence, state="fine")


def _contamination(report: Report) -> Ground:
    number = report.num_in_training
    sentence = f"{counted(number, 'row')} with a prompt that the model was trained on, where memory may answer"
    if not number:
        sentence = "no prompt is among the training rows"
    return Ground(title="Contamination", sentence=sentence, state="doubtful" if number else "fine")


def _cut(report: Report) -> Ground:
    number = report.num_cut
    sentence = f"{counted(number, 'answer')} ended by the token limit" if number else "every answer ended by itself"
    return Ground(title="Cut answers", sentence=sentence, state="doubtful" if number else "fine")


def _left_out(report: Report) -> Iterator[Ground]:
    if report.left_out:
        number = sum(each.count for each in report.left_out)
        yield Ground(title="Left out", sentence=f"{counted(number, 'row')} not asked, listed below", state="doubtful")


def _judge(report: Report) -> Iterator[Ground]:
    judge = report.judge
    if judge is None:
        return
    for figures in judge.by_criterion:
        kappa = figures.agreement.kappa
        state: Literal["fine", "doubtful"] = "fine" if kappa is not None and kappa >= _GOOD_KAPPA else "doubtful"
        title = f"{judge.model} on {figures.criterion}"
        yield Ground(title=title, sentence=criterion_in_words(figures), state=state)
    for caveat in judge_caveats(judge):
        yield Ground(title=judge.model, sentence=caveat, state="doubtful")


def _calibration(task: TaskReport, several: bool) -> Iterator[Ground]:
    calibration = task.calibration.get("after")
    if calibration is None:
        return
    error = calibration.error
    is_luck = error.value <= error.by_luck
    luck = f"a calibrated model has up to {error.by_luck:.3f} by luck"
    sentence = f"ECE {error.value:.3f}; {luck} on these rows"
    yield Ground(title=_of("Calibration", task, several), sentence=sentence, state="fine" if is_luck else "doubtful")
    share = in_words("off_list", calibration.off_list)
    sentence = f"{share} of the probability is on answers that are no label"
    state: Literal["fine", "doubtful"] = "doubtful" if calibration.off_list > _OFF_LIST else "fine"
    yield Ground(title=_of("Off the list", task, several), sentence=sentence, state=state)


def _of(title: str, task: TaskReport, several: bool) -> str:
    return f"{title}, {task.name}" if several else title
