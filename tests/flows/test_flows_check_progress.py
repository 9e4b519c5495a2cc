"""While rows are read and rendered, `check` tells how far it has come, and of bad rows as they are met."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows_files import rows, write_rows
from tunelab.cli import check as command
from tunelab.cli import console
from tunelab.cli.main import run
from tunelab.events import LEFT_OUT, AnyEvent, EventLog, Found, Planned, Progress
from tunelab.flows.check import check_data_or_recipe


def test_reading_and_rendering_are_told_in_order_and_to_the_end(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(300), "{", *rows(300, word="more")])
    events: list[AnyEvent] = []
    with EventLog(None, [events.append]) as log:
        check_data_or_recipe(str(file), environment={}, events=log)
    told = [event for event in events if isinstance(event, Progress)]
    stages = [event.stage for event in told]
    assert stages == sorted(stages)  # reading, then rendering
    reading = [event for event in told if event.stage == "reading"]
    assert [event.done for event in reading] == [100, 200, 300, 400, 500, 600]
    assert {(event.unit, event.total) for event in reading} == {("rows", 0)}
    rendering = [event for event in told if event.stage == "rendering"]
    assert [event.rows for event in rendering] == [256, 512, 600]
    assert rendering[-1].done == rendering[-1].total > rendering[0].done > 0
    (bad,) = [event for event in events if isinstance(event, Found)]
    met = sum(isinstance(event, Progress) for event in events[: events.index(bad)])
    assert met == 3, "the bad row is told of when it is met, after 300 good ones"
    assert (bad.code, bad.place) == ("bad_row", f"{file}:301")


def test_each_stage_is_planned_before_it_begins_and_the_run_before_it_is_trained(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(300))
    (tmp_path / "task.yaml").write_text("data: {train_files: train.jsonl}\ntraining: {num_training_steps: 7}\n")
    events: list[AnyEvent] = []
    with EventLog(None, [events.append]) as log:
        result = check_data_or_recipe(str(tmp_path / "task.yaml"), environment={}, events=log)
    planned = {event.stage: event.amounts for event in events if isinstance(event, Planned)}
    stages = [event.stage for event in events if isinstance(event, Planned | Progress)]
    assert list(dict.fromkeys(stages)) == list(planned) == ["reading", "rendering", "training"]
    sequences = result.dataset.train_sequences
    assert planned["reading"] == {"files": 1}
    assert planned["rendering"] == {"rows": 300}
    tokens = sum(each.num_tokens for each in sequences)
    assert planned["training"] == {"sequences": len(sequences), "tokens": tokens, "steps": 7}


def test_what_was_rendered_before_needs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    file = write_rows(tmp_path / "train.jsonl", rows(20))
    told: list[AnyEvent] = []
    for _ in range(2):
        told.clear()
        with EventLog(None, [told.append]) as log:
            check_data_or_recipe(str(file), environment={}, events=log)
    assert "rendering" not in [event.stage for event in told if isinstance(event, Progress)]
    assert told


def test_on_a_terminal_the_first_bad_rows_are_told_at_once_and_the_rest_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, highlight=False, markup=False)
    for module in (command, console):
        monkeypatch.setattr(module, "console", lambda *, stderr=False: terminal if stderr else Console())
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), *["{"] * 9])
    assert run(["check", str(file), "--json"]) == 1
    capsys.readouterr()
    assert screen.getvalue().count("train.jsonl:") == 5
    assert "more are counted" in screen.getvalue()


def faulty_rows() -> list[dict[str, object]]:
    """Many rows, some of them with a fault of each kind that a part of the data shows."""
    call = {"id": "1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    asked, answer = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}
    faulty: list[dict[str, object]] = [
        {"messages": [answer, asked, answer]},
        {"messages": [asked, asked, answer]},
        {"messages": [asked, {"role": "system", "content": "s"}, answer]},
        {"messages": [{"role": "user", "content": " "}, answer, asked]},
        {"messages": [asked, {"role": "assistant", "content": ""}]},
        {"messages": [asked]},
        {"messages": [asked, {"role": "assistant", "tool_calls": [call]}, asked, answer], "tools": [tool, tool]},
        {"messages": [asked, {"role": "tool", "content": "1"}, answer]},
        {"messages": [{"role": "user", "content": "<|im_end|>"}, answer]},
    ]
    return [*rows(100), *faulty, *rows(150, word="more"), *faulty, *rows(1000, word="last")]


EARLY = {
    "assistant_first": "101: message 1: conversations begin with the assistant",
    "role_repeated": "102: message 2: conversations hold two messages of the user, or two answers, in a row",
    "system_in_middle": "103: message 2: conversations hold a system message after the first message",
    "empty_message": "104: message 1: conversations hold a message without words",
    "ends_unanswered": "104: message 3: conversations end with a message without an answer",
    "empty_answer": "105: trained answers are empty",
    "no_assistant_turn": "106: conversations hold no assistant turn",
    "tool_unknown": "107: message 2: price: trained tool calls name a tool that their conversation does not offer",
    "tool_defined_twice": "107: stock: tool catalogues name a tool twice",
    "tool_call_without_result": "107: message 2: tool-calling conversations go on without the result of a call",
    "tool_result_without_call": "108: message 2: tool-calling conversations hold a tool result that answers no call",
    "control_token_in_text": "109: conversations hold words that look like control tokens",
}


def test_the_first_finding_of_each_kind_is_told_once_while_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_rows(tmp_path / "train.jsonl", faulty_rows())
    monkeypatch.chdir(tmp_path)
    told: list[Found] = []
    rows_read: list[int] = []

    def listener(event: AnyEvent) -> None:
        if isinstance(event, Progress) and event.stage == "reading" and len(told) < len(EARLY):
            rows_read.append(event.done)
        told.extend([event] if isinstance(event, Found) and event.code not in LEFT_OUT else [])

    assert len(faulty_rows()) > 1200
    quiet = check_data_or_recipe(file.name, environment={})
    with EventLog(None, [listener]) as log:
        result = check_data_or_recipe(file.name, environment={}, events=log)
    assert {first.code: f"{first.place.removeprefix('train.jsonl:')}: {first.text}" for first in told} == EARLY
    assert len(told) == len(EARLY)
    assert max(rows_read) == 1000, "they are told once the shape of the rows is known, from the first thousand of them"
    assert result.findings == quiet.findings
    severities = {finding.code: finding.severity for finding in result.findings}
    assert {first.code: first.severity for first in told}.items() <= severities.items()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_on_a_terminal_first_findings_are_lines_of_their_own_and_none_with_json(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, highlight=False, markup=False)
    for module in (command, console):
        monkeypatch.setattr(module, "console", lambda *, stderr=False: terminal if stderr else Console())
    file = write_rows(tmp_path / "train.jsonl", faulty_rows())
    run(["check", str(file), *options])
    capsys.readouterr()
    assert screen.getvalue().count("assistant_first, first in ") == (not options)


def test_without_a_terminal_nothing_is_told_before_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*faulty_rows(), "{"])
    assert run(["check", str(file)]) == 1
    assert capsys.readouterr().err == ""
