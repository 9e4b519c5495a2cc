"""What commands end with: the table of docs/reference/exit-codes.md, code by code."""

import re
from pathlib import Path

import pytest

from tunelab.cli import main
from tunelab.cli.standard_streams import BROKEN_PIPE
from tunelab.errors import TRY_AGAIN, UserError
from tunelab.training.process_group import LostProcessError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (LostProcessError("x"), TRY_AGAIN),
        (KeyboardInterrupt(), 128 + 2),
        (BrokenPipeError(), BROKEN_PIPE),
    ],
    ids=repr,
)
def test_each_end_has_the_code_of_the_table(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(main, "_dispatch", fail)
    assert main.run(["check"]) == code


@pytest.mark.parametrize("sign", ["platform", "module"])
def test_a_system_without_posix_is_one_sentence_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sign: str
) -> None:
    def fail(_: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'fcntl'", name="fcntl")

    if sign == "platform":
        monkeypatch.setattr(main.sys, "platform", "win32")
    else:
        monkeypatch.setattr(main, "_dispatch", fail)
    assert main.run(["--version"]) == 2
    error = capsys.readouterr().err
    assert "tunelab runs on Linux and macOS, and on Windows inside WSL." in error
    assert "pip install" not in error


def test_done_is_0_and_findings_are_1(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "q", "completion": "a"}\n')
    assert main.run(["--version"]) == 0
    assert main.run(["check", str(tmp_path / "rows.jsonl"), "--fail-on", "never"]) == 0
    assert main.run(["check", str(tmp_path / "rows.jsonl"), "--fail-on", "note"]) == 1


def test_the_table_has_every_code_there_is() -> None:
    codes = re.findall(r"^\| ([\d +n]+) \|", PAGE.read_text(), re.MULTILINE)
    assert codes == ["0", "1", "2", str(TRY_AGAIN), "128 + n", str(BROKEN_PIPE)]
