"""A line that tells how far reading has come: shown once a command has read for two seconds.

On a terminal it is a bar on standard error; elsewhere a plain line now and then, so that logs stay short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunelab.cli.console import console
from tunelab.errors import counted

if TYPE_CHECKING:
    from rich.live import Live

OnRead = Callable[[int, int, int], None]
"""Called with the bytes read, the bytes in all (0 where nobody knows) and the rows read so far."""

_QUIET_S = 2.0
_PLAIN_INTERVAL_S = 10.0
_BAR_CELLS = 24


@contextmanager
def reading_bar(verb: str = "reading") -> Iterator[OnRead]:
    """Yield what a flow tells its progress to; the bar is gone from a terminal when the context is left."""
    bar = _Bar(verb)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._began = self._shown = time.monotonic()
        self._live: Live | None = None
        self._gone = False

    def __call__(self, done: int, total: int, rows: int) -> None:
        now = time.monotonic()
        on_terminal = console(stderr=True).is_terminal
        if self._gone or now - self._began < _QUIET_S:
            return
        if now - self._shown < (0.1 if on_terminal else _PLAIN_INTERVAL_S) and self._shown > self._began:
            return
        self._shown = now
        line = progress_words(self._verb, done, total, rows, now - self._began)
        try:
            if on_terminal:
                self._draw(line)
            else:
                console(stderr=True).print(line)
        except OSError:  # the screen went away: the work goes on
            self._gone = True

    def close(self) -> None:
        if self._live is not None and not self._gone:
            self._live.stop()

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
