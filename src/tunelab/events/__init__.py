"""Room of the events: typed lines of what happened in a run."""

from tunelab.events.event import (
    AnyEvent,
    CheckpointSaved,
    EvaluationDone,
    Notice,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepDone,
)
from tunelab.events.log import EventLog, Listener, read_events, steps

__all__ = [
    "AnyEvent",
    "CheckpointSaved",
    "EvaluationDone",
    "EventLog",
    "Listener",
    "Notice",
    "RunFinished",
    "RunInterrupted",
    "RunStarted",
    "StepDone",
    "read_events",
    "steps",
]
