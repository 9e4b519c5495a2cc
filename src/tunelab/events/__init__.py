"""Room of the events: typed lines of what happened in a run."""

from tunelab.events.event import (
    LEFT_OUT,
    AnyEvent,
    CheckpointSaved,
    EvaluationDone,
    Found,
    Notice,
    Planned,
    Progress,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepDone,
)
from tunelab.events.event_index import EventIndex, read_events
from tunelab.events.log import SILENT, EventLog, Listener

__all__ = [
    "LEFT_OUT",
    "SILENT",
    "AnyEvent",
    "CheckpointSaved",
    "EvaluationDone",
    "EventIndex",
    "EventLog",
    "Found",
    "Listener",
    "Notice",
    "Planned",
    "Progress",
    "RunFinished",
    "RunInterrupted",
    "RunStarted",
    "StepDone",
    "read_events",
]
