"""Listeners are told of events in order and to the last one, and none of them costs the work anything."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunelab.events import AnyEvent, EventLog, Notice, Progress, read_events


def said(number: int) -> Notice:
    return Notice(code="said", text=str(number))


def numbers(events: list[AnyEvent]) -> list[int]:
    return [int(event.text) for event in events if isinstance(event, Notice) and event.code == "said"]


def faults(events: list[AnyEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.code == "listener_failed"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def hangs() -> Iterator[threading.Event]:
    """What a listener waits for; it is set once the test is over."""
    forever = threading.Event()
    yield forever
    forever.set()


def emit(log: EventLog, count: int) -> float:
    """Emit some events, one after the other, and return the seconds it took."""
    began = time.monotonic()
    for number in range(count):
        log.emit(said(number))
    return time.monotonic() - began


def test_a_slow_listener_is_told_all_in_order_before_the_log_is_left_and_nobody_waits_for_it(file: Path) -> None:
    told: list[AnyEvent] = []

    def slow(event: AnyEvent) -> None:
        time.sleep(0.01)
        told.append(event)

    with EventLog(file, [slow]) as log:
        assert emit(log, 50) < 0.4
        assert len(told) < 50
    assert numbers(told) == list(range(50))
    assert told == read_events(file)


def test_progress_is_told_and_not_written(file: Path) -> None:
    told: list[AnyEvent] = []
    with EventLog(file, [told.append]) as log:
        log.emit(Progress(stage="reading", done=1, total=0, unit="rows"))
        log.emit(said(1))
    assert [type(event) for event in told] == [Progress, Notice]
    assert read_events(file) == told[1:]


@pytest.mark.parametrize("error", [ValueError("\ud800 no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_listener_that_raises_is_told_on_and_its_fault_is_said_once_and_counted(
    file: Path, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    told: list[AnyEvent] = []
    heard: list[AnyEvent] = []

    def broken(event: AnyEvent) -> None:
        told.append(event)
        raise error

    with caplog.at_level(logging.WARNING), EventLog(file, [broken, heard.append]) as log:
        emit(log, 10)
        while not faults(heard):
            time.sleep(0.001)
            log.emit(said(10))
    events = read_events(file)
    assert numbers(told) == numbers(heard) == numbers(events)
    (fault,) = faults(events)
    assert faults(heard) == faults(told) == [fault]
    assert "broken raised" in fault
    assert type(error).__name__ in fault
    last = events[-1]
    assert isinstance(last, Notice)
    assert last.code == "listener_missed"
    assert f"broken missed {len(told)} of {len(told)} events" in last.text
    assert caplog.messages == [last.text]


def test_a_listener_that_hangs_for_good_keeps_nobody_waiting(file: Path, hangs: threading.Event) -> None:
    heard: list[AnyEvent] = []
    began = time.monotonic()
    with EventLog(file, [lambda _: hangs.wait(), heard.append], patience_s=0.2) as log:  # type: ignore[list-item,func-returns-value]
        emit(log, 500)
    assert time.monotonic() - began < 5
    events = read_events(file)
    assert numbers(events) == numbers(heard) == list(range(500))
    (last,) = [event for event in events if isinstance(event, Notice) and event.code == "listener_missed"]
    assert "missed 500 of 500 events: it did not come back in time" in last.text


def test_what_waits_for_a_listener_is_bounded_and_what_it_misses_is_counted(file: Path, hangs: threading.Event) -> None:
    told: list[AnyEvent] = []

    def late(event: AnyEvent) -> None:
        hangs.wait()
        told.append(event)

    with EventLog(file, [late], max_pending=5) as log:
        emit(log, 100)
        hangs.set()
    events = read_events(file)
    assert len(told) <= 6
    assert numbers(told) == list(range(len(told)))
    assert len(faults(events)) == 1
    assert "5 events are pending" in faults(events)[0]
    last = events[-1]
    assert isinstance(last, Notice)
    assert f"missed {101 - len(told)} of 101 events" in last.text


def test_an_interrupt_of_the_keyboard_reaches_the_work_even_while_it_waits_for_a_listener(
    file: Path, hangs: threading.Event
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may have been started with it ignored
    began = time.monotonic()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), EventLog(file, [lambda _: hangs.wait()], patience_s=60) as log:  # type: ignore[list-item,func-returns-value]
        emit(log, 3)
    assert time.monotonic() - began < 10
    assert numbers(read_events(file)) == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt), EventLog(None, [lambda _: None]):
        signal.raise_signal(signal.SIGINT)
