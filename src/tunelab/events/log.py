"""`events.jsonl`: appended while a run goes, read by everything else."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tunelab.events.event import AnyEvent, RunStarted, StepDone
from tunelab.files import storage_errors

Listener = Callable[[AnyEvent], None]

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class EventLog:
    """Appends events to a file, one line each, and hands each to the listeners."""

    def __init__(self, path: Path | None, listeners: Iterable[Listener] = ()) -> None:
        self.path, self.listeners = path, tuple(listeners)

    def emit(self, event: AnyEvent) -> None:
        """Write one event with the present time; a torn last line of an earlier process is closed first."""
        event = msgspec.structs.replace(event, time=time.time())
        if self.path is not None:
            with storage_errors(self.path), self.path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    file.write(b"" if file.read() == b"\n" else b"\n")
                file.write(_encoder.encode(event) + b"\n")
        for listener in self.listeners:
            listener(event)


def read_events(path: Path) -> list[AnyEvent]:
    """Return the events of a run, without what a crash tore and without steps that a resumed run did again."""
    events: list[AnyEvent] = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            event = _decoder.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(event, RunStarted):
            events = [past for past in events if getattr(past, "step", 0) <= event.resumed_from]
        events.append(event)
    return events


def steps(events: Iterable[AnyEvent]) -> list[StepDone]:
    """Return the optimizer steps among `events`."""
    return [event for event in events if isinstance(event, StepDone)]
