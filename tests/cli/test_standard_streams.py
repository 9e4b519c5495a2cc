"""Standard streams that are closed, full, without a reader or of few characters: one message, and the work is done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunelab.cli.standard_streams import BROKEN_PIPE

COMMAND = [sys.executable, "-m", "tunelab"]
ROWS = [{"prompt": f"quéstion {number} → 中", "completion": f"ânswer {number} 🙂"} for number in range(30)]
VERBS = {
    "show": ["check", "rows.jsonl", "--show", "3"],
    "json": ["check", "rows.jsonl", "--json"],
    "stats": ["check", "rows.jsonl", "--stats"],
    "clean": ["clean", "rows.jsonl", "-o", "out.jsonl"],
    "explain": ["recipe", "explain", "recipe.yaml"],
    "help": ["--help"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows and a recipe whose characters ASCII lacks."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text("data: {train_files: rows.jsonl, system_prompt: né}\n", encoding="utf-8")
    return tmp_path


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of the shell."""
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, capture_output=True, check=False, env=os.environ | environment
    )


def line_of(verb: str) -> str:
    """Return a command as a shell reads it."""
    return " ".join([*COMMAND, *VERBS[verb]])


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "help"])
def test_a_terminal_of_few_characters_shows_the_others_as_escapes(verb: str, folder: Path) -> None:
    line = f"{line_of(verb)} --overwrite" if verb == "clean" else line_of(verb)
    plain, ascii = (shell(line, folder, PYTHONIOENCODING=encoding) for encoding in ("utf-8", "ascii"))
    assert b"Traceback" not in ascii.stderr
    assert ascii.returncode == plain.returncode
    if verb in ("show", "explain"):
        assert "é".encode() in plain.stdout
        assert b"\\xe9" in ascii.stdout


def test_what_programs_read_is_utf_8_whatever_the_terminal_is(folder: Path) -> None:
    plain, ascii = (shell(line_of("json"), folder, PYTHONIOENCODING=encoding) for encoding in ("utf-8", "ascii"))
    assert json.loads(ascii.stdout) == json.loads(plain.stdout)
    recipe = shell(f"{line_of('explain')} --yaml", folder, PYTHONIOENCODING="latin-1").stdout.decode()
    assert 'system_prompt: "né"' in recipe


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_standard_output_changes_neither_exit_code_nor_files(verb: str, folder: Path) -> None:
    expected = shell(line_of(verb), folder).returncode
    for file in folder.glob("out.*"):
        file.unlink()
    ended = shell(f"{line_of(verb)} <&- >&-", folder)
    assert (ended.returncode, ended.stdout) == (expected, b"")
    assert b"Traceback" not in ended.stderr
    assert (folder / "out.jsonl").exists() == (verb == "clean")


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_standard_output_is_one_message_and_exit_code_2(verb: str, folder: Path) -> None:
    ended = shell(f"{line_of(verb)} >/dev/full", folder)
    assert ended.returncode == 2
    said = ended.stderr.decode().splitlines()
    assert said.count("tunelab: standard output: No space left on device. What was printed is incomplete.") == 1
    assert b"Traceback" not in ended.stderr
    if verb == "clean":
        assert len((folder / "out.jsonl").read_text().splitlines()) == len(ROWS)


@pytest.mark.parametrize("verb", ["show", "json"])
def test_a_reader_that_goes_ends_the_command_quietly(verb: str, folder: Path) -> None:
    ended = shell(f"( {line_of(verb)}; echo $? >code ) | true", folder)
    assert (ended.stderr, (folder / "code").read_text()) == (b"", f"{BROKEN_PIPE}\n")


def test_a_full_standard_error_costs_nothing(folder: Path) -> None:
    ended = shell(f"{line_of('show')} 2>/dev/full", folder)
    assert b"question" not in ended.stderr
    assert "ânswer".encode() in ended.stdout
    assert shell(f"{' '.join(COMMAND)} chekc 2>/dev/full", folder).returncode == 2
