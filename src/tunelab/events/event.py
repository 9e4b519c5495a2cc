"""The typed events of every verb: what happened, in order. Console, plots, studio and trackers read nothing else."""

from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Root of the events; `time` is Unix time in seconds, set when the line is written."""

    time: float = 0.0


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """Once per start of a run, resumed or not."""

    run_id: str
    total_steps: int
    num_train_sequences: int
    num_eval_sequences: int
    num_train_tokens: int
    """Prompt and completion tokens of an epoch, or of the run where it is shorter; shared or not."""
    num_distinct_tokens: int
    """What is left of them after sharing inside micro-batches."""
    repeats: dict[str, int] = {}
    """What steps have more than once, by where it comes from."""
    counts_epoch: bool
    """True where the three figures above are those of a whole epoch."""
    num_trainable: int
    """Trained weights of the adapter."""
    resumed_from: int = 0
    """Step of the checkpoint it continues from; 0 for a fresh start."""


class Notice(Event, frozen=True, kw_only=True, tag="notice"):
    """Something said aloud: a default resolved, rows cut, a fallback taken."""

    code: str
    """What kind of notice it is, in a word that stays when its text changes."""
    text: str
    level: str = "info"
    """info or warning."""


class Planned(Event, frozen=True, kw_only=True, tag="planned"):
    """What a stage of the work is about to do."""

    stage: str
    """Such as cleaning, rendering, training, comparing."""
    amounts: dict[str, int]
    """How much of it by unit, such as ``{"sequences": 433, "tokens": 2400000, "steps": 55}``."""


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far a stage has come; passed to listeners and written nowhere, since the next one says the same and more."""

    stage: str
    done: int
    total: int
    """0 if nobody knows before the end."""
    unit: str
    """What is counted: rows, bytes, characters, answers."""
    rows: int = 0
    """Rows that lie in what is done, if something else is counted."""


class Found(Event, frozen=True, kw_only=True, tag="found"):
    """Something wrong with the data or the plan."""

    code: str
    """What kind of finding it is, as in docs/reference/findings.md, or one of `LEFT_OUT`."""
    severity: Literal["error", "warning", "note"]
    place: str
    """Of the first example: file, line and message; empty if it is in no one place."""
    text: str


LEFT_OUT = ("bad_row", "bad_turn")
"""Codes of what is found in a single row that cannot be read, or turn that cannot be rendered; `text` is its error."""


class StepDone(Event, frozen=True, kw_only=True, tag="step"):
    """An optimizer step."""

    step: int
    """1-based."""
    epoch: float
    loss: float
    """Mean loss of the trained tokens of this step (nats)."""
    learning_rate: float
    grad_norm: float | None
    """Before clipping; None where fp16 overflowed: the loss scale was lowered and no weight moved."""
    trained_tokens: int
    real_tokens: int
    """Prompt and completion tokens of the step, as if nothing were shared; never padding."""
    distinct_tokens: int
    """Tokens that were run."""
    duration_s: float


class EvaluationDone(Event, frozen=True, kw_only=True, tag="evaluation"):
    """A measurement of held-out loss."""

    step: int
    eval_loss: float
    eval_tokens: int
    best: bool
    duration_s: float


class CheckpointSaved(Event, frozen=True, kw_only=True, tag="checkpoint"):
    """A checkpoint is complete on disk."""

    step: int
    name: str
    duration_s: float


class RunInterrupted(Event, frozen=True, kw_only=True, tag="run_interrupted"):
    """A signal ended the run; it can be resumed."""

    step: int
    signal: str


class RunFinished(Event, frozen=True, kw_only=True, tag="run_finished"):
    """The adapter is in place."""

    step: int
    adapter_step: int
    """The step whose weights were kept (the best one, or the last)."""
    best_eval_loss: float | None
    reason: str
    """steps_done, early_stopping, or adapter_taken if nothing was trained."""
    adapter_sha256: str
    adapter_bytes: int


AnyEvent = (
    RunStarted
    | Notice
    | Planned
    | Progress
    | Found
    | StepDone
    | EvaluationDone
    | CheckpointSaved
    | RunInterrupted
    | RunFinished
)
