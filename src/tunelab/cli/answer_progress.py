"""How far the answers of each model are, while they are awaited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunelab.cli.console import console, say
from tunelab.events import AnyEvent, Listener, Notice, Progress

_UNITS = ("answers", "sequences", "general texts", "judgements")


@contextmanager
def answer_progress() -> Iterator[Listener]:
    """Yield what shows a bar for the answers of each model, and prints notices."""
    from rich import progress as rich

    text, bar = rich.TextColumn("{task.description}"), rich.BarColumn()
    columns = (text, bar, rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
    bars = rich.Progress(*columns, console=console(stderr=True), transient=True)
    tasks: dict[tuple[str, str], rich.TaskID] = {}

    def listener(event: AnyEvent) -> None:
        if isinstance(event, Progress) and event.unit in _UNITS and event.total:
            key = event.stage, event.unit
            if key not in tasks:
                bars.start()  # the first time: an error before it leaves no empty line
                tasks[key] = bars.add_task(f"{event.stage} {event.unit}", total=event.total)
            bars.update(tasks[key], completed=event.done)
        elif isinstance(event, Notice):
            say(event.text, style="dim", stderr=True)

    try:
        yield listener
    finally:
        if tasks:
            bars.stop()
