"""A line that tells how far a stage such as reading has come: shown once it has taken two seconds.

On a terminal it is a bar on standard error; elsewhere a plain line now and then, so that logs stay short.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunelab.cli.console import console
from tunelab.errors import counted
from tunelab.events import AnyEvent, Listener, Planned, Progress

if TYPE_CHECKING:
    from rich.live import Live

_QUIET_S = 2.0
_PLAIN_INTERVAL_S = 10.0
_BAR_CELLS = 24


@contextmanager
def reading_line() -> Iterator[Listener]:
    """Yield a listener that shows the progress of each stage; its line is gone from a terminal on leaving."""
    line = _Line()
    try:
        yield line
    finally:
        line.close()


class _Line:
    """What is shown of a stage, from its first event on."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._shown = 0.0
        self._live: Live | None = None
        self._gone = False

    def __call__(self, event: AnyEvent) -> None:
        if self._gone or not isinstance(event, Planned | Progress):
            return
        now = time.monotonic()
        try:
            if event.stage != self._stage:
                self.close()
                self._stage, self._began, self._shown = event.stage, now, now
            if isinstance(event, Progress):
                self._show(event, now)
        except (OSError, SystemExit):  # the screen went away (rich makes the second of a broken pipe): the work goes on
            self._gone = True

    def _show(self, event: Progress, now: float) -> None:
        on_terminal = console(stderr=True).is_terminal
        if now - self._began < _QUIET_S:
            return
        if now - self._shown < (0.1 if on_terminal else _PLAIN_INTERVAL_S) and self._shown > self._began:
            return
        self._shown = now
        figures = (0, 0, event.done) if event.unit == "rows" else (event.done, event.total, event.rows)
        line = progress_words(event.stage, *figures, now - self._began)
        if on_terminal:
            self._draw(line)
        else:
            console(stderr=True).print(line)

    def close(self) -> None:
        if self._live is not None and not self._gone:
            self._live.stop()
        self._live = None

    def _draw(self, line: str) -> None:
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=console(stderr=True), refresh_per_second=8, transient=True)
            self._live.start()
        self._live.update(Text(line, style="bold"))


def progress_words(verb: str, done: int, total: int, rows: int, seconds: float) -> str:
    """Return such as ``cleaning  412 of 1,024 MB  ████──  53 MB/s  410,000 rows  12s left``."""
    parts = [verb]
    if done or total:
        megabytes = f"{done / 1e6:,.0f}"
        parts.append(f"{megabytes} of {max(done, total) / 1e6:,.0f} MB" if total else f"{megabytes} MB")
    if total:
        filled = round(_BAR_CELLS * min(done / total, 1))
        parts.append("█" * filled + "─" * (_BAR_CELLS - filled))
    if done:
        parts.append(f"{done / 1e6 / seconds:,.0f} MB/s")
    parts.append(counted(rows, "row"))
    if not done:
        parts.append(f"{rows / seconds:,.0f} a second")
    if total and done:
        parts.append(f"{duration(max(total - done, 0) * seconds / done)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Return ``5s``, ``2m05s``, ``1h07m``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
