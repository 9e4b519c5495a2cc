"""The first command that anybody runs, from its own process, with a few steps in place of all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("task", ["taxonomy", "agent-sessions"])
def test_the_quickstart_checks_trains_and_compares(task: str, tmp_path: Path) -> None:
    few = {
        "LLM_TRAINING__NUM_TRAINING_STEPS": "2",
        "LLM_TRAINING__NUM_WARMUP_STEPS": "0",
        "LLM_DATA__TRAIN_SAMPLES": "64",
        "LLM_DATA__EVAL_SAMPLES": "4",
    }
    words = [sys.executable, "-m", "tunelab", "quickstart", "--task", task]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | few, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [done.stdout.index(part) for part in ("1  check", "Nothing blocks", "2  train", "3  compare", "Next:")]
    assert told == sorted(told)
    (run,) = (tmp_path / "runs").iterdir()
    assert {"adapter", "loss.png", "manifest.json", "report.html"} <= {each.name for each in run.iterdir()}


def test_a_quickstart_whose_check_cannot_run_ends_as_the_check_does(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tunelab", "quickstart"]
    wrong = os.environ | {"LLM_MODEL__BASE_MODEL": "no/such/folder/at/all"}
    done = subprocess.run(words, cwd=tmp_path, env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "2  train" not in done.stdout
    assert not (tmp_path / "runs").exists()
