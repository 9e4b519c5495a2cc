"""Ctrl+C while a command still imports what it needs: one line, exit code 130."""

import subprocess
import sys
from pathlib import Path

import pytest

from tunelab.cli.main import VERBS

PROGRAM = """
import os, signal, sys

class Interrupting:
    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start it with the signal ignored
from tunelab.cli.main import main
sys.meta_path.insert(0, Interrupting(sys.argv.pop(1)))
main()
"""
RECIPE = "data: {train_files: [rows.jsonl], format: prompt_completion}"


def interrupted(folder: Path, module: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command that is sent SIGINT as it begins to import a module; return code, output and errors."""
    (folder / "rows.jsonl").write_text('{"prompt": "q", "completion": "a"}\n')
    (folder / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-c", PROGRAM, module, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("module", ["typer", "tunelab.cli.VERB"])
def test_any_command_that_is_interrupted_while_it_is_imported_says_so_in_a_line(
    verb: str, module: str, tmp_path: Path
) -> None:
    assert interrupted(tmp_path, module.replace("VERB", verb), verb, "x") == (130, "", "Interrupted.\n")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("tunelab.errors", ["clean", "rows.jsonl", "-o", "out.jsonl"]),
        ("tunelab.cleaning.config", ["clean", "rows.jsonl", "-o", "out.jsonl"]),
        ("polars", ["clean", "rows.jsonl", "-o", "out.jsonl"]),
        ("tokenizers", ["check", "rows.jsonl"]),
        ("torch", ["train", "recipe.yaml"]),
        ("ruamel.yaml", ["recipe", "explain", "recipe.yaml"]),
    ],
    ids=lambda each: each if isinstance(each, str) else " ",
)
def test_a_command_that_is_interrupted_while_it_imports_what_it_needs_says_so_in_a_line(
    module: str, words: list[str], tmp_path: Path
) -> None:
    assert interrupted(tmp_path, module, *words) == (130, "", "Interrupted.\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["recipe.yaml", "rows.jsonl"]
