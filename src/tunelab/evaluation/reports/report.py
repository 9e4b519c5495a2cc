"""The record of a comparison: two models over the same items, what changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tunelab.evaluation.figures.measure import FigureChange, Measured
from tunelab.evaluation.judging.figures import JudgeReport
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, Item, TaskKind
from tunelab.evaluation.statistics.calibration import BrierParts, CalibrationError, ReliabilityBin
from tunelab.evaluation.statistics.gaps import Gap
from tunelab.evaluation.statistics.interval import Interval

Verdict = Literal["better", "worse", "not shown"]
Outcome = Literal["fixed", "broken", "right", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A model that was evaluated."""

    name: str
    """A run's id, the name of a base model, or an adapter's folder."""
    base_model: str
    adapter: str
    """In words, e.g. ``LoRA, rank 16``; empty for a base model."""
    template_sha256: str
    """Of the rendering."""
    weights_sha256: str
    """Of base weights and adapter together."""
    size_bytes: int | None = None
    """Of its adapter's weights on disk; None if it has none, or it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One item with what both models made of it."""

    item: Item
    before: EvaluatedRow
    after: EvaluatedRow
    outcome: Outcome
    """Whether each model is right by the task's first figure: fixed if only the later one is, right if both are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChange:
    """The first figure of a task on the rows that have one value of a field."""

    slice_field: str
    value: str
    change: FigureChange
    is_worth_a_look: bool
    """Whether the change is shown though many slices were looked at (Benjamini and Hochberg, 5 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCalibration:
    """The calibration error of the later model on the rows that have one value of a field."""

    slice_field: str
    value: str
    num_rows: int
    error: CalibrationError
    is_worth_a_look: bool
    """Whether it is beyond luck though many slices were looked at (Benjamini and Hochberg, 5 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether a model that says 80 % is right in 80 of 100 cases."""

    error: CalibrationError
    brier: BrierParts
    bins: tuple[ReliabilityBin, ...]
    off_list: float
    """Mean probability of answers that are none of the labels."""
    temperature: float
    """What logits would be divided by; fitted on other groups than those it is judged on."""
    error_at_temperature: float
    """The expected calibration error that it leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """How often each true label got each answer."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """One row for each true label; the last column counts answers that are no label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """What one kind of changed prompts does to a model."""

    kind: str
    num_rows: int
    """Rows that could be changed."""
    num_tried: int
    loss: float | None
    """Share of right answers lost against the same rows as they are."""
    interval: Interval | None
    flips: int
    """Answers that are no longer the same, right or wrong."""
    example: str = ""
    """Id of a row that was right and is wrong when changed."""
    p: float | None = None
    """Chance of so great a loss or gain if there were none, two-sided; None without an interval."""
    obeyed: float | None = None
    """Of injections: share of rows that give the answer that is asked for, of those that do not give it anyhow."""
    obeyed_interval: Interval | None = None
    num_neutral: int = 0
    """Of swaps: rows that were also asked with a double space."""
    neutral_flips: int = 0
    """Of these, answers that the double space changes: the noise that flips are compared with."""
    excess_flips: float | None = None
    """Share of these whose answer the swap changes, less the share whose answer the double space changes."""
    excess_interval: Interval | None = None
    excess_p: float | None = None
    """McNemar's mid-p of the two shares; None if rows depend on each other."""
    probability_change: float | None = None
    """Of swaps and tasks with labels: mean distance of the answered label's probability, 0 to 1, whichever way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessLoss:
    """The loss over all kinds together, which a gate names `robustness_loss`."""

    value: float
    """Mean over the kinds of the share of right answers lost."""
    interval: Interval | None
    """None of fewer than ten groups, if rows depend on each other."""
    num_rows: int
    kinds: tuple[str, ...]
    """Those that could be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFigures:
    """Times of one model, at one number of requests at a time."""

    merged: bool
    concurrency: int
    num_requests: int
    first_token_ms: Mapping[str, float | None]
    """``p50``, ``p95``, ``p99``; None if there were too few requests for one."""
    request_ms: Mapping[str, float | None]
    intervals_ms: Mapping[str, Interval | None]
    """Of `request_ms`, by ranks."""
    tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralChange:
    """What training costs on text that has nothing to do with the task, in nats a token."""

    name: str
    """``general`` for the prompts that ship with tunelab, else a file's name."""
    num_texts: int
    before: float
    after: float
    increase: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherModel:
    """A model that answered the same items and is shown next to the two, e.g. what is in production."""

    role: str
    """As it is named on the page, e.g. ``production``."""
    model: ModelRecord
    figures: Mapping[str, Measured]
    """The first figure of each task, by the task's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaskedRows:
    """Rows that were not asked, or of whose answers something was not judged."""

    reason: str
    count: int
    example: str
    """file:line of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """One task: two models over its rows."""

    name: str
    kinds: tuple[TaskKind, ...]
    num_rows: int
    num_groups: int
    labels: tuple[str, ...]
    json_schema: Mapping[str, object] | None = None
    """That answers are to keep; None for tasks without one."""
    first_figure: str
    """The name of the figure by which rows are right or wrong, and of which the verdict speaks."""
    figures: tuple[FigureChange, ...]
    verdicts: Mapping[str, Verdict]
    """By figure, held together by Holm's method; of figures of which neither way is better there is none."""
    slices: tuple[SliceChange, ...] = ()
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """``before`` and ``after``."""
    calibration_slices: tuple[SliceCalibration, ...] = ()
    confusion: Mapping[str, Confusion] = field(default_factory=dict)
    robustness: Mapping[str, tuple[VariantChange, ...]] = field(default_factory=dict)
    robustness_loss: RobustnessLoss | None = None
    """Of the later model, over all kinds together."""
    swaps: Mapping[str, tuple[VariantChange, ...]] = field(default_factory=dict)
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    """Of the later model, by each of the suite's slice fields and by language."""
    shown_difference: float | None = None
    """Least difference of the first figure that so many rows show, as many of them as changed and as much alike as rows
    of a group are; None if it is no share, and if none can be shown."""

    def figure(self, name: str) -> FigureChange:
        """Return how a figure changed."""
        return next(change for change in self.figures if change.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A comparison, but for its rows, which are apart."""

    suite: str
    """The first digits of the suite's hash."""
    data: str
    """Where the rows come from, in words."""
    before: ModelRecord
    after: ModelRecord
    sampling: Mapping[str, object]
    """How answers were sampled, by the names of `Sampling`."""
    tasks: tuple[TaskReport, ...]
    general: tuple[GeneralChange, ...] = ()
    latency: Mapping[str, tuple[LatencyFigures, ...]] = field(default_factory=dict)
    """``before`` and ``after``."""
    judge: JudgeReport | None = None
    """None if no judge was asked."""
    noise_floor: float | None = None
    """Share of rows whose answer changes when they are asked again in another batch order; None if none were."""
    left_out: tuple[UnaskedRows, ...] = ()
    num_in_training: int = 0
    """Rows whose prompt the training rows hold."""
    num_cut: int = 0
    """Answers of the later model that the token limit ended."""
    others: tuple[OtherModel, ...] = ()
    command: str = ""
    """What makes this report again."""
    format: int = 2
    """Version of this record on disk."""
