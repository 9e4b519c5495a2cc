"""Killed again and again, by chance, at any place: every job is done once, in the right bytes, and nothing is left."""

import os
from pathlib import Path

import pytest

from jobs_trial.kills import kill_trial

TOOLS = Path(__file__).parents[2] / "tools"


def test_no_kill_of_runner_shepherd_or_worker_loses_a_job_or_does_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{TOOLS}:{os.environ.get('PYTHONPATH', '')}")
    trial = kill_trial(tmp_path, num_jobs=10, num_kills=40, slots=4, seed=1)
    assert trial.wrong == []
    assert trial.succeeded == 10
    assert min(trial.kills[role] for role in ("runner", "shepherd", "worker")) > 2
