"""One line that shows how training goes; plain lines, fewer of them, where no terminal watches.

The screen only watches: when it goes away (a closed terminal, a pipe without a reader), the run goes on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from tunelab.checks.phrases import origins
from tunelab.cli.console import console, harmless, say
from tunelab.cli.reading_progress import duration
from tunelab.errors import UserError, counted
from tunelab.events import (
    LEFT_OUT,
    AnyEvent,
    EvaluationDone,
    Found,
    Listener,
    Notice,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepDone,
)

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_PLAIN_INTERVAL_S = 10.0


@contextmanager
def progress_line() -> Iterator[Listener]:
    """Yield a listener that shows a run while it goes."""
    from rich.live import Live
    from rich.text import Text

    state = _State()
    if not console().is_terminal:
        yield _while_it_lasts(state.plain)
        return
    with Live(console=console(), refresh_per_second=4, transient=True) as live:

        def listener(event: AnyEvent) -> None:
            for line, style in state.lines(event):
                live.console.print(line, style=style)
            live.update(Text(state.line, style="bold"))

        yield _while_it_lasts(listener)


def _while_it_lasts(listener: Listener) -> Listener:
    """Return a listener that falls silent for good once its screen cannot be written to."""
    gone = False

    def silent_when_gone(event: AnyEvent) -> None:
        nonlocal gone
        if not gone:
            try:
                listener(event)
            except (OSError, SystemExit, UserError):  # rich makes the second of a broken pipe, a full disk is the third
                gone = True

    return silent_when_gone


class _State:
    """What the line shows."""

    def __init__(self) -> None:
        self.line = ""
        self._total = 0
        self._recent: deque[StepDone] = deque(maxlen=20)
        self._eval_loss: float | None = None
        self._last_plain = 0.0

    def plain(self, event: AnyEvent) -> None:
        """Print what is worth keeping, and the line now and then."""
        for line, style in self.lines(event):
            say(line, style=style)
        now = time.monotonic()
        is_last = isinstance(event, StepDone) and event.step == self._total
        if isinstance(event, StepDone) and (is_last or now - self._last_plain >= _PLAIN_INTERVAL_S):
            self._last_plain = now
            say(self.line)

    def lines(self, event: AnyEvent) -> list[tuple[str, str | None]]:
        """Take in an event; return the lines that stay on the screen, with their styles."""
        if isinstance(event, Notice):
            warning = event.level == "warning"
            return [(("warning: " if warning else "") + harmless(event.text), "yellow" if warning else "dim")]
        if isinstance(event, Found):
            text = f"left out: {event.place}: {event.text}" if event.code in LEFT_OUT else event.text
            opening = "" if event.severity == "note" else f"{event.severity}: "
            return [(opening + harmless(text), _STYLES[event.severity])]
        if isinstance(event, RunStarted):
            self._total = event.total_steps
            return [(_start(event), None)]
        if isinstance(event, StepDone):
            self._recent.append(event)
            self.line = self._describe(event)
        if isinstance(event, EvaluationDone):
            self._eval_loss = event.eval_loss
            best = "  best so far" if event.best else ""
            return [(f"step {event.step:,}: held-out loss {event.eval_loss:.4f}{best}", None)]
        if isinstance(event, RunFinished | RunInterrupted):
            self.line = ""
        return []

    def _describe(self, event: StepDone) -> str:
        seconds = sum(step.duration_s for step in self._recent)
        speed = sum(step.real_tokens for step in self._recent) / seconds
        remaining = (self._total - event.step) * seconds / len(self._recent)
        held_out = f"  held out {self._eval_loss:.4f}" if self._eval_loss is not None else ""
        return (
            f"step {event.step:,}/{self._total:,}  loss {event.loss:.4f}{held_out}  lr {event.learning_rate:.2e}  "
            f"{speed:,.0f} tokens/s  {duration(remaining)} left"
        )


def _start(event: RunStarted) -> str:
    saved = event.num_train_tokens / max(event.num_distinct_tokens, 1)
    shared = (
        f", {event.num_distinct_tokens:,} of them run (sharing saves {saved:.1f} times: {origins(event.repeats)})"
        if saved >= 1.05
        else ""
    )
    resumed = f"Resumed after step {event.resumed_from:,}: " if event.resumed_from else ""
    return (
        f"{resumed}{counted(event.total_steps, 'step')} over {counted(event.num_train_sequences, 'sequence')}, "
        f"{counted(event.num_train_tokens, 'token')} {'an epoch' if event.counts_epoch else 'in all'}{shared}; "
        f"{event.num_eval_sequences:,} held out"
    )
