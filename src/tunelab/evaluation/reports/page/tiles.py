"""The four tiles of a page: the task, what got worst, general ability, speed."""

from __future__ import annotations

from dataclasses import dataclass

from tunelab.evaluation.reports.report import Report, SliceChange, TaskReport
from tunelab.evaluation.reports.words import cost_sentence, style_of, task_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile."""

    title: str
    figure: str
    """In large type."""
    text: str
    tone: str = ""
    """``better``, ``worse`` or empty."""


def tiles_of(report: Report) -> list[Tile]:
    """Return the tiles; what was not measured says so."""
    return [_task(report), _worst(report), _general(report), _speed(report)]


def _task(report: Report) -> Tile:
    task = report.tasks[0]
    line = next(line for line in task_lines(task) if line.name == task.first_figure)
    tone = line.verdict if line.verdict in ("better", "worse") else ""
    return Tile(title=line.title, figure=line.after, text=f"{line.before} before; {line.interval}", tone=tone or "")


def _worst(report: Report) -> Tile:
    slices = [(task, each) for task in report.tasks for each in task.slices if each.change.value is not None]
    title = "What got worst"
    if not slices:
        return Tile(title=title, figure="–", text="No slice was measured.")
    task, each = min(
        slices, key=lambda pair: (pair[1].change.value or 0.0) * (-1 if pair[0].first_figure == "loss" else 1)
    )
    style = style_of(task.first_figure)
    if _gain(task, each) >= 0:
        return Tile(title=title, figure="nothing", text="No slice got worse.", tone="better")
    words = "shown" if each.is_worth_a_look else "not shown: it may be luck"
    text = f"{each.slice_field} {each.value}: {style(each.change.before.value)} before ({words})"
    return Tile(
        title=title, figure=style(each.change.after.value), text=text, tone="worse" if each.is_worth_a_look else ""
    )


def _general(report: Report) -> Tile:
    title = "General text"
    if not report.general:
        return Tile(title=title, figure="–", text="What training costs elsewhere was not measured.")
    change = report.general[0]
    is_shown = change.interval is not None and change.interval.low > 0
    figure = f"{change.increase:+.2f}".replace("-", "\N{MINUS SIGN}")
    return Tile(title=title, figure=figure, text=cost_sentence(report), tone="worse" if is_shown else "")


def _speed(report: Report) -> Tile:
    measured = report.latency.get("after", ())
    if not measured:
        return Tile(title="Speed", figure="–", text="Latency was not measured.")
    first = measured[0]
    p50 = first.request_ms.get("p50")
    figure = "–" if p50 is None else f"{p50:,.0f} ms"
    return Tile(title="Speed", figure=figure, text=f"median answer; {first.tokens_per_s:,.0f} tokens a second")


def _gain(task: TaskReport, each: SliceChange) -> float:
    """Return by how much a slice got better."""
    value = each.change.value or 0.0
    return -value if task.first_figure == "loss" else value
