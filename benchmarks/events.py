"""How soon the events of a long run are found: a file of 100,000 lines, indexed, plotted and polled for news.

`python events.py` prints medians in milliseconds of the clock, and of the processor. Ends with 1 if indexing takes more
than 0.3 s of the processor, or a spike is lost.
"""

import argparse
import datetime
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tunelab.events import EvaluationDone, EventIndex, StepDone

GOAL_S = 0.3
COLUMNS = 960


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "events.jsonl"
        spike = _write(file, arguments.events)
        size = f"{arguments.events:,} events, {file.stat().st_size / 1e6:.1f} MB"
        print(f"{now}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds: {size}")
        index_s = _told("index", lambda: len(EventIndex(file)), arguments.rounds)
        index = EventIndex(file)
        _told(f"series, {COLUMNS} columns", lambda: index.series(StepDone, "loss", columns=COLUMNS), arguments.rounds)
        _told("all events", index.events, arguments.rounds)
        _told("the last 200", lambda: index.events(arguments.events - 200), arguments.rounds)
        _told("news of nothing", lambda: index.news(file.stat().st_size), arguments.rounds)
        steps, _ = index.series(StepDone, "loss", columns=COLUMNS)
    if index_s > GOAL_S or spike not in steps:
        sys.exit(f"not within {GOAL_S} s of the processor, or the spike of step {spike:,} is lost")


def _told(name: str, act: Callable[[], object], rounds: int) -> float:
    """Print how long an act takes, and return the seconds of the processor."""
    seconds, busy = list[float](), list[float]()
    for _ in range(rounds):
        started, worked_before = time.perf_counter(), time.process_time()
        act()
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - worked_before)
    median, best = statistics.median(seconds) * 1e3, min(seconds) * 1e3
    worked_s = statistics.median(busy)
    print(f"{name:22}{median:8.1f} ms ({best:.1f} at best; {worked_s * 1e3:.1f} of the processor)")
    return worked_s


def _write(file: Path, count: int) -> int:
    """Write events, every hundredth an evaluation; return the step with a spike."""
    encoder, spike = msgspec.json.Encoder(), count // 3 + 1
    with file.open("wb") as out:
        for step in range(1, count + 1):
            out.write(encoder.encode(_measured(step) if step % 100 == 0 else _done(step, count, spike)) + b"\n")
    return spike


def _measured(step: int) -> EvaluationDone:
    return EvaluationDone(step=step, eval_loss=2.0, eval_tokens=1000, best=True, duration_s=1.5)


def _done(step: int, count: int, spike: int) -> StepDone:
    return StepDone(
        time=1.8e9 + step / 7,
        step=step,
        epoch=step / 1234,
        loss=9.0 if step == spike else 2.0 + (step * 7919 % 1000) / 3456,
        learning_rate=2e-4 * (1 - step / (count + 1)),
        grad_norm=0.5 + (step * 104729 % 1000) / 2345,
        trained_tokens=1234,
        real_tokens=12345,
        distinct_tokens=2345,
        duration_s=1 / 7,
    )


if __name__ == "__main__":
    main()
