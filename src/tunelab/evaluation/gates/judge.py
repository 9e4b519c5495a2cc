"""From measured figures to verdicts. What was not measured is not decided, and never passes.

Three kinds of gates are judged in three ways:

- a threshold by the figure itself, or with `confident` by its interval;
- a comparison with another model by the interval of the difference, since equal models differ by luck;
- a figure that luck alone raises above zero (calibration error, gaps) by what a faultless model gets on these rows.

Of several verdicts by interval or by luck, one is wrong by chance sooner or later: Holm's method holds all of them
together to 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.statistics.distributions import binomial_at_most, normal_tail, two_sided_z
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.proportions import wilson_interval
from tunelab.evaluation.statistics.several import holm

Outcome = Literal["passes", "fails", "not decided"]
_LEVEL = 0.05
_A_LITTLE_WORSE = 0.03
"""How far below a threshold the model is taken to be whose luck is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured for a gate; a difference if the gate compares with another model."""

    value: float | None
    interval: Interval | None
    num_rows: int
    is_share: bool = False
    """Whether it is a share of independent rows that are right."""
    lower_is_better: bool = False
    by_luck: float | None = None
    """For figures that luck raises above zero (calibration error, gaps): what 95 of 100 faultless models stay below."""
    p: float | None = None
    """For the same: chance that a faultless model is at least so far off."""
    note: str = ""
    """Why nothing was measured, or why there is no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What a gate says of a model."""

    gate: GateConfig
    evidence: Evidence
    outcome: Outcome
    reason: str
    rows_needed: int | None = None
    """How many rows would decide it, if the figure stays what it is."""
    luck: float | None = None
    """Chance that a model three points below the threshold passes; None if it is not a share of independent rows."""

    @property
    def margin(self) -> float | None:
        """How far the figure is on the right side of the nearest threshold; negative on the wrong side."""
        value = self.evidence.value
        return None if value is None else min(_distances(self.gate, self.evidence, value))


def judge(gates: Sequence[GateConfig], evidences: Sequence[Evidence], *, confident: bool = False) -> list[GateVerdict]:
    """Return the verdicts of gates on what was measured for each.

    Args:
        gates: the thresholds.
        evidences: what was measured, one for each gate.
        confident: judge thresholds by the interval, too, if the gate does not say how.
    """
    rulings = [_ruling(*pair, confident=confident) for pair in zip(gates, evidences, strict=True)]
    by_luck = {
        "passes": _held_together([ruling.p_passes for ruling in rulings]),
        "fails": _held_together([ruling.p_fails for ruling in rulings]),
    }
    verdicts = []
    for index, (gate, evidence, ruling) in enumerate(zip(gates, evidences, rulings, strict=True)):
        outcome, reason = ruling.outcome, ruling.reason
        if outcome != "not decided" and by_luck[outcome][index] > _LEVEL:
            outcome, reason = "not decided", f"by itself it {outcome}; one of {len(gates)} gates does so by luck"
        verdicts.append(
            GateVerdict(
                gate=gate,
                evidence=evidence,
                outcome=outcome,
                reason=reason,
                rows_needed=_rows_needed(gate, evidence) if outcome == "not decided" else None,
                luck=_luck(gate, evidence, confident=ruling.by_interval),
            )
        )
    return verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruling:
    """What a gate says by itself."""

    outcome: Outcome
    reason: str = ""
    by_interval: bool = False
    p_passes: float | None = None
    """Chance of evidence so good if the model did not pass; None of a figure that is judged as it is."""
    p_fails: float | None = None
    """Chance of evidence so bad if the model did not fail; None of the same."""


def _ruling(gate: GateConfig, evidence: Evidence, *, confident: bool) -> _Ruling:
    value = evidence.value
    if value is None or not math.isfinite(value):
        return _Ruling(outcome="not decided", reason=evidence.note or "it was not measured")
    if evidence.by_luck is not None and gate.max is not None:
        return _beyond_luck(value, gate.max, evidence.by_luck, evidence.p)
    by_interval = (confident or gate.against is not None) if gate.confident is None else gate.confident
    if not by_interval:
        is_good = all(distance >= 0 for distance in _distances(gate, evidence, value))
        return _Ruling(outcome="passes" if is_good else "fails")
    if evidence.interval is None:
        reason = evidence.note or "there are too few rows for an interval"
        return _Ruling(outcome="not decided", reason=reason, by_interval=True)
    return _by_interval(gate, evidence, value, evidence.interval)


def _by_interval(gate: GateConfig, evidence: Evidence, value: float, interval: Interval) -> _Ruling:
    low, high = (_distances(gate, evidence, end) for end in (interval.low, interval.high))
    nearest, *ends = min(zip(_distances(gate, evidence, value), low, high, strict=True))
    # many intervals are longer on one side: the side that faces the threshold counts
    width = abs(nearest - (min(ends) if nearest >= 0 else max(ends)))
    p_passes = normal_tail(nearest / width * two_sided_z(interval.confidence)) if width > 0 else float(nearest < 0)
    outcome: Outcome = "not decided"
    if all(distance >= 0 for distance in (*low, *high)):
        outcome = "passes"
    elif any(max(ends) < 0 for ends in zip(low, high, strict=True)):
        outcome = "fails"
    reason = "its interval lies on both sides of the threshold" if outcome == "not decided" else ""
    return _Ruling(outcome=outcome, reason=reason, by_interval=True, p_passes=p_passes, p_fails=1 - p_passes)


def _beyond_luck(value: float, most: float, by_luck: float, p: float | None) -> _Ruling:
    if value <= most:
        return _Ruling(outcome="passes", p_fails=1.0)
    if value <= by_luck:
        reason = f"a faultless model reaches {by_luck:.3g} by luck on these rows"
        return _Ruling(outcome="not decided", reason=reason, p_fails=p)
    reason = f"95 of 100 faultless models stay below {by_luck:.3g} on these rows"
    return _Ruling(outcome="fails", reason=reason, p_fails=p)


def _held_together(p_values: Sequence[float | None]) -> list[float]:
    """Return p values adjusted by Holm's method; 0 where there is none."""
    judged = [index for index, p in enumerate(p_values) if p is not None]
    adjusted = dict(zip(judged, holm([p for p in p_values if p is not None]), strict=True))
    return [adjusted.get(index, 0.0) for index in range(len(p_values))]


def _distances(gate: GateConfig, evidence: Evidence, value: float) -> list[float]:
    """Return how far a value is on the right side of each threshold."""
    if gate.against is not None:
        return [gate.margin - value if evidence.lower_is_better else value + gate.margin]
    above = [value - gate.min] if gate.min is not None else []
    return above + ([gate.max - value] if gate.max is not None else [])


def _rows_needed(gate: GateConfig, evidence: Evidence) -> int | None:
    """Return with how many rows the interval would end at the threshold: it shrinks with the root of their number."""
    if evidence.interval is None or evidence.value is None or evidence.by_luck is not None:
        return None
    distance = min(map(abs, _distances(gate, evidence, evidence.value)))
    width = (evidence.interval.high - evidence.interval.low) / 2
    return math.ceil(evidence.num_rows * (width / distance) ** 2) if width > distance > 0 else None


def _luck(gate: GateConfig, evidence: Evidence, *, confident: bool) -> float | None:
    if not evidence.is_share or gate.min is None or gate.max is not None or not evidence.num_rows:
        return None
    rows, threshold = evidence.num_rows, gate.min
    truth = max(threshold - _A_LITTLE_WORSE, 0.0)
    fewest = next(
        (right for right in range(rows + 1) if _passes(right, rows, threshold, confident=confident)), rows + 1
    )
    return 1 - binomial_at_most(fewest - 1, rows, truth)


def _passes(right: int, rows: int, threshold: float, *, confident: bool) -> bool:
    if not confident:
        return right >= threshold * rows - 1e-9
    interval = wilson_interval(right, rows)
    return interval is not None and interval.low >= threshold
