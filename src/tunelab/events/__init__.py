"""Room of the events: typed lines of what happened in a run."""

from tunelab.events.event import (
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
