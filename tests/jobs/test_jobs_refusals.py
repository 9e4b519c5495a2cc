"""A disk that is full, read-only or broken at any write of a job: one message, and the job is done once afterwards."""

import os
import shutil
from pathlib import Path

import pytest

from jobs_trial.refusals import refusals

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the system refuse a call")
@pytest.mark.parametrize(
    ("step", "error", "every"), [("submit", "ENOSPC", 25), ("claim", "EROFS", 25), ("finish", "EIO", 15)]
)
def test_a_refused_write_loses_no_job_and_does_none_twice(
    step: str, error: str, every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the calls; `make proof-jobs` refuses them all."""
    monkeypatch.setenv("PYTHONPATH", f"{TOOLS}:{os.environ.get('PYTHONPATH', '')}")
    found = refusals(tmp_path, step, error, every=every)
    assert found.wrong == []
    assert found.num_refused > 1
