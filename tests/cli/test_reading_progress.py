"""The line that tells how far reading has come."""

import pytest

from tunelab.cli.reading_progress import progress_words, reading_line
from tunelab.cli.training_progress import progress_line
from tunelab.events import Notice, Planned, Progress


def test_the_line_tells_size_rate_rows_and_the_time_left() -> None:
    line = progress_words("cleaning", 250_000_000, 1_000_000_000, 120_000, 5.0)
    assert "250 of 1,000 MB" in line
    assert "50 MB/s" in line
    assert "120,000 rows" in line
    assert line.endswith("15s left")


def test_without_a_known_size_rows_are_what_is_told() -> None:
    assert progress_words("reading", 0, 0, 3000, 2.0) == "reading  3,000 rows  1,500 a second"


def test_a_quick_command_shows_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with reading_line() as listener:
        listener(Progress(stage="reading", done=10, total=10, unit="bytes", rows=1))
    assert capsys.readouterr().err == ""


def test_a_slow_command_tells_of_itself_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 3.0, 4.0, 14.0])
    monkeypatch.setattr("tunelab.cli.reading_progress.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("tunelab.cli.reading_progress.console", _a_console)
    with reading_line() as listener:
        listener(Planned(stage="cleaning", amounts={"files": 1}))
        for rows in (10, 20, 30):
            listener(Progress(stage="cleaning", done=rows * 1_000_000, total=0, unit="bytes", rows=rows))
    printed = capsys.readouterr()
    assert [line.split("  ")[3] for line in printed.err.splitlines()] == ["10 rows", "30 rows"]
    assert printed.out == ""


@pytest.mark.parametrize("error", [BrokenPipeError(), SystemExit(1)], ids=repr)
def test_a_screen_that_went_away_is_written_to_no_more_and_nobody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    tried: list[object] = []

    class Gone:
        is_terminal = False

        def print(self, *_: object, **__: object) -> None:
            tried.append(_)
            raise error

    monkeypatch.setattr("tunelab.cli.console.console", lambda **_: Gone())
    monkeypatch.setattr("tunelab.cli.reading_progress.console", lambda **_: Gone())
    for limit in ("_QUIET_S", "_PLAIN_INTERVAL_S"):
        monkeypatch.setattr(f"tunelab.cli.reading_progress.{limit}", 0.0)
    with progress_line() as training, reading_line() as reading:
        for listener in (training, reading):
            tried.clear()
            listener(Planned(stage="reading", amounts={}))
            for _ in range(3):
                listener(Notice(code="said", text="a word"))
                listener(Progress(stage="reading", done=1, total=0, unit="rows"))
            assert len(tried) == 1


def _a_console(*, stderr: bool) -> object:
    from rich.console import Console

    return Console(stderr=stderr)
