"""Warm jobs, killed again and again, with their server too: every job is done once, in the right bytes."""

import os
from pathlib import Path

import pytest

from jobs_trial.kills import kill_trial

TOOLS = Path(__file__).parents[2] / "tools"


def test_no_kill_of_server_runner_shepherd_or_worker_loses_a_warm_job_or_does_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{TOOLS}:{os.environ.get('PYTHONPATH', '')}")
    trial = kill_trial(tmp_path, num_jobs=12, num_kills=40, slots=4, seed=1, warm=True)
    assert trial.wrong == []
    assert trial.succeeded == 12
    assert min(trial.kills[role] for role in ("server", "runner", "shepherd", "worker")) > 2
    logs = "".join(file.read_text(errors="replace") for file in tmp_path.glob(".tunelab/job/*/log-*"))
    assert logs.count("] attempt ") > 2 * logs.count("started in the ordinary way") > 0
