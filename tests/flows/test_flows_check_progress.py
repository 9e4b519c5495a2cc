"""While rows are read and rendered, `check` tells how far it has come, and of bad rows as they are met."""

import io
from pathlib import Path

import pytest
from flows_files import rows, write_rows
from rich.console import Console

from tunelab.cli import check as command
from tunelab.cli import output
from tunelab.cli.main import run
from tunelab.flows.check import check_data_or_recipe


def test_reading_and_rendering_are_told_in_order_and_to_the_end(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(300), "{", *rows(300, word="more")])
    told: list[tuple[str, int, int, int]] = []
    met: list[int] = []

    check_data_or_recipe(
        str(file),
        environment={},
        on_bad=lambda error: met.append(len(told)),
        on_progress=lambda *progress: told.append(progress),
    )
    verbs = [verb for verb, *_ in told]
    assert verbs == sorted(verbs)  # reading, then rendering
    assert [count for verb, _, _, count in told if verb == "reading"] == [100, 200, 300, 400, 500, 600]
    rendering = [(done, total, count) for verb, done, total, count in told if verb == "rendering"]
    assert [count for *_, count in rendering] == [256, 512, 600]
    assert rendering[-1][0] == rendering[-1][1] > rendering[0][0] > 0
    assert met == [3], "the bad row is told of when it is met, behind 300 good ones"


def test_what_was_rendered_before_needs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    file = write_rows(tmp_path / "train.jsonl", rows(20))
    told: list[str] = []
    for _ in range(2):
        told.clear()
        check_data_or_recipe(str(file), environment={}, on_progress=lambda verb, *_: told.append(verb))
    assert "rendering" not in told


def test_on_a_terminal_the_first_bad_rows_are_told_at_once_and_the_rest_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, highlight=False, markup=False)
    for module in (command, output):
        monkeypatch.setattr(module, "console", lambda *, stderr=False: terminal if stderr else Console())
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), *["{"] * 9])
    assert run(["check", str(file), "--json"]) == 1
    capsys.readouterr()
    assert screen.getvalue().count("train.jsonl:") == 5
    assert "more are counted" in screen.getvalue()


def test_without_a_terminal_nothing_is_told_before_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), "{"])
    assert run(["check", str(file)]) == 1
    assert capsys.readouterr().err == ""
