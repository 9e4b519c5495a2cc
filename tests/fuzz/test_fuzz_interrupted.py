"""A command that is killed, or whose disk fills up, leaves the files it read as they were and no half file behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace injects the faults")

ROWS = "".join(json.dumps({"prompt": f"question {n}", "completion": "an answer"}) + "\n" for n in range(50))
PROGRAM = "import sys; from tunelab.cli.main import main; main()"


def interrupted(folder: Path, fault: str) -> subprocess.CompletedProcess[bytes]:
    """Run `tunelab clean` over the rows, with a fault that strace injects into it."""
    command = [sys.executable, "-c", PROGRAM, "clean", "rows.jsonl", "-o", "out.jsonl", "--overwrite"]
    traced = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        f"trace={fault.partition(':')[0]}",
        "-e",
        f"inject={fault}",
        *command,
    ]
    return subprocess.run(traced, cwd=folder, capture_output=True, check=False, env=os.environ)


@pytest.mark.parametrize(
    "fault",
    ["fsync:signal=KILL:when=1", "rename:signal=KILL:when=1", "rename:signal=KILL:when=2", "fsync:error=ENOSPC:when=2"],
)
def test_a_clean_that_is_interrupted_leaves_the_old_file_or_the_new_one(fault: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    for name in ("out.jsonl", "out.rejected.jsonl", "out.report.json"):
        (tmp_path / name).write_text("old\n")
    done = interrupted(tmp_path, fault)
    assert done.returncode != 0, "the fault was met"
    assert (tmp_path / "rows.jsonl").read_text() == ROWS
    assert (tmp_path / "out.jsonl").read_text() in ("old\n", ROWS)
    assert (tmp_path / "out.report.json").read_text().startswith(("old\n", "{")), "the report comes last"
    if "ENOSPC" in fault:
        assert done.stderr.startswith(b"tunelab: ")
        assert b"the disk is full" in done.stderr
        assert b"Traceback" not in done.stderr
