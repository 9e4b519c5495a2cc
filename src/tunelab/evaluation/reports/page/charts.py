"""Small drawings of a page, as SVG without scripts; each says in its title what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from tunelab.evaluation.gates.judge import GateVerdict
from tunelab.evaluation.reports.report import Calibration
from tunelab.evaluation.statistics.interval import Interval

_WIDTH, _HEIGHT = 220.0, 22.0
_MARGIN = 8.0
_PLOT = 260.0


def interval_dot(value: float | None, interval: Interval | None, *, low: float, high: float, title: str) -> Markup:
    """Return a dot with its interval on an axis from `low` to `high`, on which zero is marked."""
    if value is None:
        return Markup("")
    place = _scale(low, high)
    zero = f'<line class="zero" x1="{place(0):.1f}" x2="{place(0):.1f}" y1="2" y2="{_HEIGHT - 2}"/>'
    whisker = ""
    if interval is not None:
        ends = place(max(interval.low, low)), place(min(interval.high, high))
        whisker = f'<line class="whisker" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="11" y2="11"/>'
    return _drawing(_WIDTH, _HEIGHT, title, f'{zero}{whisker}<circle cx="{place(value):.1f}" cy="11" r="4.5"/>')


def gate_bar(verdict: GateVerdict) -> Markup:
    """Return the interval of a gate's figure, and the threshold that it is held against."""
    gate, evidence = verdict.gate, verdict.evidence
    if evidence.value is None:
        return Markup("")
    thresholds = [-gate.margin if not evidence.lower_is_better else gate.margin] if gate.against is not None else []
    thresholds += [end for end in (gate.min, gate.max) if end is not None]
    ends = [evidence.value, *thresholds]
    if evidence.interval is not None:
        ends += [evidence.interval.low, evidence.interval.high]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 0.1
    place = _scale(low - room, high + room)
    parts = [
        f'<line class="threshold" x1="{place(end):.1f}" x2="{place(end):.1f}" y1="1" y2="{_HEIGHT - 1}"/>'
        for end in thresholds
    ]
    if evidence.interval is not None:
        first, last = place(evidence.interval.low), place(evidence.interval.high)
        parts.append(f'<line class="whisker" x1="{first:.1f}" x2="{last:.1f}" y1="11" y2="11"/>')
    parts.append(f'<circle cx="{place(evidence.value):.1f}" cy="11" r="4.5"/>')
    return _drawing(_WIDTH, _HEIGHT, f"{gate.describe()}: {verdict.outcome}", "".join(parts))


def reliability_plot(calibration: Calibration) -> Markup:
    """Return how often a model is right over how sure it is; on the diagonal it is as sure as it should be."""

    def x(share: float) -> float:
        return 30 + share * (_PLOT - 40)

    def y(share: float) -> float:
        return _PLOT - 30 - share * (_PLOT - 40)

    parts = [
        f'<rect class="frame" x="{x(0):.0f}" y="{y(1):.0f}" width="{x(1) - x(0):.0f}" height="{y(0) - y(1):.0f}"/>',
        f'<line class="zero" x1="{x(0):.0f}" y1="{y(0):.0f}" x2="{x(1):.0f}" y2="{y(1):.0f}"/>',
        f'<text x="{x(0.5):.0f}" y="{_PLOT - 6:.0f}" text-anchor="middle">how sure</text>',
        f'<text x="12" y="{y(0.5):.0f}" text-anchor="middle" transform="rotate(-90 12 {y(0.5):.0f})">how often right'
        "</text>",
    ]
    most = max((each.num_rows for each in calibration.bins), default=1)
    for each in calibration.bins:
        size = 3 + 6 * (each.num_rows / most) ** 0.5
        cx, cy = x(each.confidence), y(each.num_right / each.num_rows)
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{size:.1f}"/>')
    says = "; ".join(
        f"{each.num_rows} rows at {100 * each.confidence:.0f} %: {100 * each.num_right / each.num_rows:.0f} % right"
        for each in calibration.bins
    )
    return _drawing(_PLOT, _PLOT, f"Calibration. {says}", "".join(parts))


def shared_axis(values: Sequence[tuple[float | None, Interval | None]]) -> tuple[float, float]:
    """Return the ends of an axis that holds zero, all values and all intervals."""
    ends = [0.0]
    for value, interval in values:
        ends += [] if value is None else [value]
        ends += [] if interval is None else [interval.low, interval.high]
    room = (max(ends) - min(ends)) * 0.05 or 0.1
    return min(ends) - room, max(ends) + room


def _scale(low: float, high: float) -> Callable[[float], float]:
    width = high - low or 1.0
    return lambda value: _MARGIN + (value - low) / width * (_WIDTH - 2 * _MARGIN)


def _drawing(width: float, height: float, title: str, parts: str) -> Markup:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    said = Markup("<title>{}</title>").format(title)
    return Markup(f'<svg class="chart" role="img" {size}>') + said + Markup(parts) + Markup("</svg>")
