"""What an `events.jsonl` holds, found by byte offset: the one reader of that file."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import msgspec

from tunelab.events.event import AnyEvent, EvaluationDone, RunStarted, StepDone

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class EventIndex:
    """The events of a file that count, in order; each question first takes in what was appended since the last one.

    A line that a crash tore is left out, and so is a last one that is still being written. Once a run is resumed, what
    it did after its checkpoint counts no more, since the resumed run does it again. A file that became shorter is read
    anew; one that is not there holds no events.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts = array("q")
        """Offsets of the lines of the events that count."""
        self._end = 0
        """Offset after the last whole line."""

    def __len__(self) -> int:
        with self._opened():
            return len(self._starts)

    def events(self, first: int = 0) -> list[AnyEvent]:
        """Return the events from number `first` on, counted from 0."""
        with self._opened() as file:
            return [event for _, event in _events_at(file, self._starts[first:])]

    def series(
        self, kind: type[StepDone] | type[EvaluationDone], field: str, *, columns: int | None = None
    ) -> tuple[list[int], list[float]]:
        """Return the steps at which events of a kind have a number in `field`, ascending, and these numbers.

        Args:
            columns: width of the picture they are for, in pixels; see `thinned`. None keeps all.
        """
        found = {event.step: getattr(event, field) for event in self.events() if isinstance(event, kind)}
        steps = sorted(step for step, value in found.items() if value is not None)
        values = [found[step] for step in steps]
        return (steps, values) if columns is None else thinned(steps, values, columns=columns)

    def news(self, offset: int = 0) -> tuple[list[AnyEvent], int]:
        """Return the events after a byte offset as they were written, and the offset to ask from the next time.

        What a resumed run does again is among them; its `RunStarted` says after which step earlier events count no
        more. An offset at which no line begins is that of a file which became shorter: then all of it is new.
        """
        events: list[AnyEvent] = []
        with _open(self.path) as file:
            end = offset if _begins_line(file, offset) else 0
            for _, after, event in _whole_lines(file, end):
                end = after
                events += [] if event is None else [event]
        return events, end

    def news_one_by_one(self, offset: int = 0) -> Iterator[tuple[AnyEvent, int]]:
        """Yield the same events, each with the offset to ask from after it, and read no further than is asked for."""
        with _open(self.path) as file:
            for _, after, event in _whole_lines(file, offset if _begins_line(file, offset) else 0):
                if event is not None:
                    yield event, after

    def begins_line(self, offset: int) -> bool:
        """Return whether a line begins at a byte, or will once it is written: a place to ask for news from."""
        with _open(self.path) as file:
            return _begins_line(file, offset)

    def _opened(self) -> BinaryIO:
        """Return the open file, with all its whole lines taken in."""
        file = _open(self.path)
        if not _begins_line(file, self._end):
            self._starts, self._end = array("q"), 0
        starts = self._starts
        for start, after, event in _whole_lines(file, self._end):
            self._end = after
            if isinstance(event, RunStarted):
                starts[:] = self._up_to(event.resumed_from)
            if event is not None:
                starts.append(start)
        return file

    def _up_to(self, step: int) -> "array[int]":
        with _open(self.path) as file:
            events = _events_at(file, self._starts)
            return array("q", [start for start, event in events if getattr(event, "step", 0) <= step])


def read_events(path: Path) -> list[AnyEvent]:
    """Return the events of a run that count."""
    return EventIndex(path).events()


def thinned(steps: Sequence[int], values: Sequence[float], *, columns: int) -> tuple[list[int], list[float]]:
    """Return the lowest and the highest point of each of `columns` equal parts of the steps, which ascend.

    So no spike is lost in a picture that is `columns` pixels wide. Up to two points a column are left as they are.
    """
    if len(steps) <= 2 * columns:
        return list(steps), list(values)
    first, span = steps[0], steps[-1] - steps[0] + 1
    kept: list[int] = []
    for _, group in groupby(range(len(steps)), key=lambda number: (steps[number] - first) * columns // span):
        numbers = list(group)
        kept += sorted({min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__)})
    return [steps[number] for number in kept], [values[number] for number in kept]


def _open(path: Path) -> BinaryIO:
    return (path if path.exists() else Path(os.devnull)).open("rb")


def _begins_line(file: BinaryIO, offset: int) -> bool:
    file.seek(max(offset - 1, 0))
    return offset == 0 or file.read(1) == b"\n"


def _whole_lines(file: BinaryIO, offset: int) -> Iterator[tuple[int, int, AnyEvent | None]]:
    """Yield the bounds of each line that is written to its end, and its event; None for what is none."""
    file.seek(offset)
    for line in file:
        if not line.endswith(b"\n"):
            return
        yield offset, offset + len(line), _decoded(line)
        offset += len(line)


def _events_at(file: BinaryIO, starts: Iterable[int]) -> Iterator[tuple[int, AnyEvent]]:
    for start in starts:
        file.seek(start)
        if (event := _decoded(file.readline())) is not None:
            yield start, event


def _decoded(line: bytes) -> AnyEvent | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
