"""Ctrl+C, SIGTERM and a closed terminal as a request to stop: the training loop asks for it, saves and ends."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from tunelab.training.world import World


class Stopping:
    """Whether a run should end after the step at work, and why; a request may come from any thread."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __call__(self) -> bool:
        """Tell whether to stop after this step."""
        return self.reason is not None

    def request(self, reason: str = "request") -> None:
        """End the run after the step at work, saved; `reason` is the name of a signal, or ``request``."""
        self.reason = reason

    def agreed_reason(self, world: World) -> str | None:
        """Return the reason that one of the processes has, the same in all of them."""
        reasons = [None, *(each.name for each in signal.Signals), "request"]
        return reasons[int(max(number for (number,) in world.gather(reasons.index(self.reason))))]


@contextmanager
def stop_on_signals(stopping: Stopping, world: World) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP within the context into a request; a second one ends the process.

    Only the main thread can: another one leaves signals to the program that it is part of.

    A signal that the process was started to ignore (nohup, a background job of a shell) stays so; of Ctrl+C it is said.
    Where several processes train together, a second signal is ignored, too: the first one comes to them from the
    terminal or scheduler and from torchrun, which itself ends what is still there after 30 seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, _: FrameType | None) -> None:
        is_again = stopping()
        stopping.request(signal.Signals(number).name)
        if world.is_first and not is_again:
            again = "" if world.size > 1 else "; once more ends it at once"
            with suppress(OSError):  # os.write, because the step that was interrupted may itself have been printing
                os.write(2, f"\nThe run ends after this step and is saved{again}.\n".encode())
        if world.size == 1:
            for each, handler in previous.items():
                signal.signal(each, handler)

    if world.is_first and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with suppress(OSError):
            end = f"kill {os.getpid()} saves the run and ends it"
            print(f"Ctrl+C is ignored, as for a shell's background job: {end}.", file=sys.stderr, flush=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN:
            previous[number] = handler
            signal.signal(number, note)
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
