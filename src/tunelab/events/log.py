"""`events.jsonl`: appended while a run goes; `EventIndex` reads it. Listeners are passed the same events."""

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from threading import RLock, Thread
from types import TracebackType
from typing import Self

import msgspec

from tunelab.errors import counted
from tunelab.events.event import AnyEvent, Notice, Progress
from tunelab.files import storage_errors

Listener = Callable[[AnyEvent], None]

_logger = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()
_MAX_PENDING = 10_000
_PATIENCE_S = 3.0
_MOST_CHARS = 300


class EventLog:
    """Appends events to a file, one line each, and passes them to the listeners; a context that waits for these.

    Each listener is called in order in a thread of its own, so that none costs the work anything: one that raises gets
    the next event all the same, one that is slow or hangs misses events once `max_pending` are pending. The first fault
    of each is an event, too. At the end, all listeners together have `patience_s` to take what is pending; what one has
    missed is counted then.

    `before_writing` is called before each line; what it raises, `emit` does, and the line is not written.
    """

    def __init__(
        self,
        path: Path | None,
        listeners: Iterable[Listener] = (),
        *,
        before_writing: Callable[[], None] = lambda: None,
        max_pending: int = _MAX_PENDING,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.path, self._before_writing = path, before_writing
        self._deliveries = [_Delivery(listener, max_pending) for listener in listeners]
        self._patience_s = patience_s
        self._one_at_a_time = RLock()

    @property
    def has_listeners(self) -> bool:
        """True if events are passed to somebody."""
        return bool(self._deliveries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + self._patience_s
        for delivery in self._deliveries:
            delivery.end()
        for delivery in self._deliveries:
            delivery.wait(deadline)
        for delivery in self._deliveries:
            if text := delivery.missed():
                self._write(Notice(code="listener_missed", text=text, level="warning", time=time.time()))
                _logger.warning(text)

    def emit(self, event: AnyEvent) -> None:
        """Write one event with the present time, and pass it to the listeners; `Progress` is not written."""
        with self._one_at_a_time:
            event = msgspec.structs.replace(event, time=time.time())
            if not isinstance(event, Progress):
                self._write(event)
            for delivery in self._deliveries:
                delivery.put(event)
            for delivery in self._deliveries:
                if text := delivery.new_fault():
                    self.emit(Notice(code="listener_failed", text=text, level="warning"))

    def _write(self, event: AnyEvent) -> None:
        """Append a line; a torn last line of an earlier process is closed first."""
        if self.path is None:
            return
        self._before_writing()
        with storage_errors(self.path), self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read() == b"\n" else b"\n")
            file.write(_encoder.encode(event) + b"\n")


SILENT = EventLog(None)
"""Takes events and does nothing with them."""


class _Delivery:
    """Calls one listener with events in a thread of its own, and counts those that it misses."""

    def __init__(self, listener: Listener, max_pending: int) -> None:
        self._listener, self._max_pending = listener, max_pending
        self._name = getattr(listener, "__qualname__", type(listener).__name__)
        self._pending: SimpleQueue[AnyEvent | None] = SimpleQueue()
        self._num_events = self._num_refused = self._num_raised = self._num_left = 0
        self._fault, self._is_said = "", False
        self._thread = Thread(target=self._deliver, name=f"events for {self._name}", daemon=True)
        self._thread.start()

    def put(self, event: AnyEvent) -> None:
        self._num_events += 1
        if self._pending.qsize() < self._max_pending:
            self._pending.put(event)
        else:
            self._num_refused += 1
            self._fault = self._fault or f"is slow: {counted(self._max_pending, 'event')} are pending"

    def new_fault(self) -> str:
        """Return in words what it did wrong first; nothing after that."""
        if not self._fault or self._is_said:
            return ""
        self._is_said = True
        return f"the listener {self._name} {self._fault}; the work goes on, and what it misses is counted"

    def end(self) -> None:
        """Say that no event follows."""
        self._pending.put(None)

    def wait(self, deadline: float) -> None:
        """Let it take what is pending, until `deadline` by the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._num_left = self._pending.qsize()  # what is pending without the end mark, and what it is busy with
            self._fault = self._fault or "did not come back in time"

    def missed(self) -> str:
        """Return in words how many events it missed; nothing if it missed none."""
        count = self._num_refused + self._num_raised + self._num_left
        missed = f"the listener {self._name} missed {count:,} of {counted(self._num_events, 'event')}"
        return f"{missed}: it {self._fault}" if count else ""

    def _deliver(self) -> None:
        while (event := self._pending.get()) is not None:
            try:
                self._listener(event)
            except BaseException as error:  # whatever it is, it ends neither this thread nor the work
                self._num_raised += 1
                self._fault = self._fault or f"raised {ascii(error)[:_MOST_CHARS]}"
