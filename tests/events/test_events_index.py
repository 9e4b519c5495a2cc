"""What is read of a file of events: whole lines, the later of two of a step, and pictures without lost spikes."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.events import AnyEvent, EvaluationDone, EventIndex, EventLog, Notice, RunStarted, StepDone, read_events
from tunelab.events.event_index import thinned


def step(number: int, loss: float = 1.0, **changed: object) -> StepDone:
    facts = dict.fromkeys(StepDone.__struct_fields__, 1) | {"time": 0.0, "step": number, "loss": loss} | changed
    return StepDone(**facts)  # type: ignore[arg-type]


def started(resumed_from: int = 0) -> RunStarted:
    facts = dict.fromkeys(RunStarted.__struct_fields__, 1) | {"run_id": "one", "repeats": {}, "counts_epoch": False}
    return RunStarted(**(facts | {"time": 0.0, "resumed_from": resumed_from}))  # type: ignore[arg-type]


def evaluated(number: int, loss: float = 1.0) -> EvaluationDone:
    return EvaluationDone(step=number, eval_loss=loss, eval_tokens=1, best=False, duration_s=0.0)


def write(path: Path, *events: AnyEvent) -> Path:
    log = EventLog(path)
    for event in events:
        log.emit(event)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def numbers(index: EventIndex) -> list[int]:
    return [event.step for event in index.events() if isinstance(event, StepDone)]


def test_events_are_read_from_any_number_on_and_new_ones_are_taken_in(file: Path) -> None:
    index = EventIndex(file)
    assert (len(index), index.events()) == (0, [])
    write(file, started(), step(1), step(2))
    assert len(index) == 3
    write(file, step(3))
    assert numbers(index) == [1, 2, 3]
    assert [event.step for event in index.events(2) if isinstance(event, StepDone)] == [2, 3]
    assert index.events(4) == []
    assert read_events(file) == index.events()


@pytest.mark.parametrize("asked_between", [True, False])
def test_what_a_resumed_run_does_again_counts_once_as_it_was_done_last(file: Path, asked_between: bool) -> None:
    index = EventIndex(file)
    write(file, started(), step(1, 5.0), step(2, 4.0), evaluated(2, 7.0), step(3, 3.0), evaluated(3, 6.0))
    if asked_between:
        assert len(index) == 6
    write(file, started(resumed_from=2))
    assert index.series(StepDone, "loss") == ([1, 2], [5.0, 4.0])
    assert index.series(EvaluationDone, "eval_loss") == ([2], [7.0])
    write(file, step(3, 9.0), evaluated(3, 8.0))
    assert index.series(StepDone, "loss") == ([1, 2, 3], [5.0, 4.0, 9.0])
    assert index.series(EvaluationDone, "eval_loss") == ([2, 3], [7.0, 8.0])
    assert index.events() == EventIndex(file).events()


def test_the_later_of_two_lines_of_a_step_counts_even_if_the_start_between_was_torn(file: Path) -> None:
    write(file, step(1, 5.0), step(2, 4.0), step(3, 3.0), step(2, 9.0))
    assert EventIndex(file).series(StepDone, "loss") == ([1, 2, 3], [5.0, 9.0, 3.0])


@pytest.mark.parametrize("kept_bytes", [1, 20, -1])
def test_a_torn_line_is_left_out_at_the_end_and_later_in_the_middle(file: Path, kept_bytes: int) -> None:
    write(file, step(1), step(2))
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines()[0][:kept_bytes])
    index = EventIndex(file)
    assert numbers(index) == [1, 2]
    assert index.news()[1] == len(whole)
    write(file, step(3))
    assert numbers(index) == numbers(EventIndex(file)) == [1, 2, 3]
    assert [event.step for event in index.news(len(whole))[0] if isinstance(event, StepDone)] == [3]


def test_a_line_with_a_byte_that_is_no_text_is_left_out(file: Path) -> None:
    write(file, step(1), Notice(code="about", text="here"), step(2))
    file.write_bytes(file.read_bytes().replace(b"here", b"h\xff"))
    assert numbers(EventIndex(file)) == [1, 2]
    assert len(EventIndex(file)) == 2


def test_a_line_that_is_still_being_written_is_read_once_it_is_whole(file: Path) -> None:
    write(file, step(1), step(2))
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    index = EventIndex(file)
    assert numbers(index) == [1]
    _, offset = index.news()
    with file.open("ab") as appended:
        appended.write(whole[-5:])
    assert numbers(index) == [1, 2]
    assert [event.step for event in index.news(offset)[0] if isinstance(event, StepDone)] == [2]


def test_a_file_that_became_shorter_or_another_one_is_read_anew(file: Path, tmp_path: Path) -> None:
    write(file, *(step(number) for number in range(1, 9)))
    index = EventIndex(file)
    _, offset = index.news()
    assert len(index) == 8
    os.truncate(file, len(file.read_bytes().splitlines(keepends=True)[0]))
    assert (len(index), numbers(index)) == (1, [1])
    assert len(index.news(offset)[0]) == 1
    write(file, step(7))
    assert numbers(index) == [1, 7]
    long = Notice(code="said", text="x" * file.stat().st_size)
    write(tmp_path / "other.jsonl", long, *(step(number) for number in range(11, 31))).replace(file)
    assert (len(index), numbers(index)) == (21, list(range(11, 31)))
    file.unlink()
    assert (len(index), index.news(offset)) == (0, ([], 0))


@given(st.lists(st.sampled_from(["step", "notice", "resume", "torn"]), max_size=30), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_news_after_news_is_all_that_was_written_whenever_one_asks(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], asked_after: int
) -> None:
    file = tmp_path_factory.mktemp("events") / "events.jsonl"
    news, offset, number = list[AnyEvent](), 0, 0
    index = EventIndex(file)
    for place, kind in enumerate(kinds):
        number += kind == "step"
        if kind == "torn":
            with file.open("ab") as torn:
                torn.write(b'{"event":"st')
        else:
            told = {"step": step(number), "notice": Notice(code="said", text="é\u2028"), "resume": started(number // 2)}
            write(file, told[kind])
        if place == asked_after:
            news, offset = index.news()
            assert len(index) == len(EventIndex(file))
    more, _ = index.news(offset)
    lines = [line for line in file.read_bytes().split(b"\n") if line.endswith(b"}")] if kinds else []
    assert len(news + more) == len(lines)
    assert [type(event).__struct_config__.tag for event in news + more] == [json.loads(line)["event"] for line in lines]
    assert index.events() == EventIndex(file).events()


losses = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.dictionaries(st.integers(1, 5_000), losses, max_size=400), st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_thinning_keeps_the_lowest_and_the_highest_point_of_each_column_of_pixels(
    points: dict[int, float], columns: int
) -> None:
    steps = sorted(points)
    values = [points[number] for number in steps]
    kept_steps, kept = thinned(steps, values, columns=columns)
    assert [points[number] for number in kept_steps] == kept
    assert kept_steps == sorted(set(kept_steps))
    assert len(kept) <= 2 * columns or kept == values
    if len(steps) <= 2 * columns:
        assert kept == values
        return
    width = (steps[-1] - steps[0] + 1) / columns

    def column(number: int) -> int:
        return int((number - steps[0]) / width + 1e-9)

    for each in {column(number) for number in steps}:
        whole = [points[number] for number in steps if column(number) == each]
        left = [points[number] for number in kept_steps if column(number) == each]
        assert (min(left), max(left)) == (min(whole), max(whole))


def test_a_series_is_thinned_to_the_width_of_its_picture_and_leaves_out_what_has_no_number(file: Path) -> None:
    spikes = {3: 50.0, 77: -50.0}
    write(file, *(step(number, spikes.get(number, 1.0), grad_norm=number % 2 or None) for number in range(1, 101)))
    index = EventIndex(file)
    _, values = index.series(StepDone, "loss", columns=5)
    assert len(values) <= 10
    assert {max(values), min(values)} == {50.0, -50.0}
    assert index.series(StepDone, "grad_norm") == (list(range(1, 101, 2)), [1] * 50)
    assert index.series(EvaluationDone, "eval_loss", columns=5) == ([], [])
