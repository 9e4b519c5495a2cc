"""Gates as small bars: the figure, its interval, and the side of the threshold that passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.judge import Evidence, GateVerdict, Outcome
from tunelab.evaluation.reports.numbers import difference_in_words, in_words, interval_in_words
from tunelab.evaluation.reports.page.strips import Axis, Stretch, Strip, axis_over

_ORDER: dict[Outcome, int] = {"fails": 0, "not decided": 1, "passes": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBar:
    """A gate on the page."""

    gate: str
    outcome: Outcome
    measured: str
    """The figure and its interval, in words."""
    reason: str
    strip: Strip | None
    """None if nothing was measured."""


def gate_bars(verdicts: Sequence[GateVerdict]) -> list[GateBar]:
    """Return the bars of gates: those that fail first, then those that are not decided."""
    return [_bar(verdict) for verdict in sorted(verdicts, key=lambda verdict: _ORDER[verdict.outcome])]


def gates_in_words(verdicts: Sequence[GateVerdict]) -> str:
    """Return how many gates pass, fail and are not decided."""
    counts = {outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in _ORDER}
    parts = [
        f"{counts['fails']:,} {'fails' if counts['fails'] == 1 else 'fail'}",
        f"{counts['not decided']:,} cannot be decided",
        f"{counts['passes']:,} {'passes' if counts['passes'] == 1 else 'pass'}",
    ]
    return f"Of {len(verdicts):,} gates " + ", ".join(part for part in parts if not part.startswith("0 "))


def _bar(verdict: GateVerdict) -> GateBar:
    measured = _measured(verdict.gate, verdict.evidence)
    return GateBar(
        gate=verdict.gate.describe(),
        outcome=verdict.outcome,
        measured=measured,
        reason="; ".join(_reasons(verdict)),
        strip=_strip(verdict, measured),
    )


def _measured(gate: GateConfig, evidence: Evidence) -> str:
    if evidence.value is None:
        return "not measured"
    is_difference = gate.against is not None
    style = difference_in_words if is_difference else in_words
    within = interval_in_words(gate.figure, evidence.interval, of_difference=is_difference)
    return style(gate.figure, evidence.value) + (f" ({within})" if evidence.interval is not None else ", no interval")


def _reasons(verdict: GateVerdict) -> Iterator[str]:
    if verdict.reason:
        yield verdict.reason
    if verdict.rows_needed is not None:
        yield f"about {verdict.rows_needed:,} rows would decide it, there are {verdict.evidence.num_rows:,}"
    if verdict.luck is not None and verdict.outcome == "passes":
        share = in_words("accuracy", verdict.luck)
        yield f"by luck, a model 3 points below the threshold passes in {share} of cases"


def _strip(verdict: GateVerdict, measured: str) -> Strip | None:
    gate, evidence = verdict.gate, verdict.evidence
    if evidence.value is None:
        return None
    thresholds = _thresholds(gate, evidence)
    axis = axis_over((evidence.value, evidence.by_luck, *thresholds), evidence.interval)
    ticks = [axis.at(threshold, "threshold") for threshold in thresholds]
    if evidence.by_luck is not None:
        ticks.append(axis.at(evidence.by_luck, "luck"))
    return Strip(
        description=f"{gate.describe()}: {measured}; {verdict.outcome}",
        zones=(_passing(gate, evidence, axis),),
        ticks=tuple(ticks),
        spans=axis.spans(evidence.interval, verdict.outcome.replace(" ", "-")),
        dots=(axis.at(evidence.value, verdict.outcome.replace(" ", "-")),),
    )


def _thresholds(gate: GateConfig, evidence: Evidence) -> list[float]:
    if gate.against is not None:
        return [gate.margin if evidence.lower_is_better else -gate.margin]
    return [threshold for threshold in (gate.min, gate.max) if threshold is not None]


def _passing(gate: GateConfig, evidence: Evidence, axis: Axis) -> Stretch:
    """Return the values that pass."""
    if gate.against is not None:
        (threshold,) = _thresholds(gate, evidence)
        low, high = (None, threshold) if evidence.lower_is_better else (threshold, None)
    else:
        low, high = gate.min, gate.max
    return axis.between(axis.low if low is None else low, axis.high if high is None else high, "passing")
