"""Ctrl+C and SIGTERM as a wish that the training loop asks about, so that it can save before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopping:
    """Whether the process was asked to end, and by what."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def __call__(self) -> bool:
        """Tell whether to stop after this step."""
        return self.signal_name is not None


@contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Turn the first SIGINT or SIGTERM within the context into a wish; a second one ends the process as usual."""
    stopping = Stopping()
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, _: FrameType | None) -> None:
        stopping.signal_name = signal.Signals(number).name
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.getsignal(number)
        signal.signal(number, note)
    try:
        yield stopping
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
