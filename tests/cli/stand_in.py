"""A workspace whose jobs are done by a stand-in for `tunelab train`, by a runner inside this process."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import pytest

from train_task import rows, write_lines
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import Runner
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace
from tunelab.workspace.projects import add_model, create_workspace, find_model, read_catalogue

_WORKER = """
import hashlib, json, pathlib, signal, sys, time
workspace = pathlib.Path.cwd().parents[2]
how = json.loads((workspace / "how.json").read_text())
stopped = []
signal.signal(signal.SIGTERM, signal.SIG_IGN if how.get("ignores") else lambda *_: stopped.append(1))
run = workspace / "runs" / sys.argv[4]
if not how.get("refuses"):
    (run / "adapter").mkdir(parents=True, exist_ok=True)
    (run / "recipe.yaml").write_text(pathlib.Path(sys.argv[2]).read_text())
print("at work", flush=True)
while how.get("endless") and not stopped:
    time.sleep(0.01)
if stopped or how.get("code"):
    sys.exit(143 if stopped else how["code"])
(run / "adapter" / "adapter_model.safetensors").write_text("weights")
digest = hashlib.sha256(b"weights").hexdigest()
manifest = {"run_id": run.name, "base_model": "none", "template_sha256": "", "rendered_on": "2026-11-30"}
(run / "manifest.json").write_text(json.dumps(manifest | {"files": {"adapter_model.safetensors": digest}}))
sys.exit(how.get("code_after", 0))
"""


class StandIn:
    """A workspace with the project of nano, and how its jobs go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder
        workspace = create_workspace(folder).workspace
        entry = find_model(read_catalogue(workspace), "nano")
        add_model(workspace, entry, ["lora", "soft_prompt"])
        self.recipe_file = folder / "nano_v1" / "lora" / "lora.yaml"
        data = self.recipe_file.parent / "dataset"
        data.mkdir()
        write_lines(data / "train.json", rows(4))
        write_lines(data / "test.json", rows(2, start=9))
        self.go()
        (folder / "worker.py").write_text(_WORKER)
        monkeypatch.chdir(folder)
        for module in ("run", "job_log", "jobs", "jobs_here"):
            monkeypatch.setattr(f"tunelab.cli.{module}.bring_up_to_date", self._tick)

    def go(self, **how: object) -> None:
        """Say how the next attempts go: endless, ignores (SIGTERM), refuses (begins no run), code, code_after."""
        (self.path / "how.json").write_text(json.dumps(how))

    def set(self, key: str, value: str) -> None:
        """Change a line of lora.yaml."""
        lines = self.recipe_file.read_text().splitlines()
        changed = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
        assert lines != changed
        self.recipe_file.write_text("\n".join(changed) + "\n")

    def store(self) -> Store:
        """The jobs of the workspace."""
        return Store(JobsFolder(workspace=Workspace(path=self.path)))

    def _tick(self, store: Store) -> None:
        Runner(store, _place(self.path)).tick()


@cache  # a place that is dropped while its processes run is warned of
def _place(folder: Path) -> LocalJobs:
    program = (sys.executable, "-I", "-S", str(folder / "worker.py"))
    return LocalJobs(JobsFolder(workspace=Workspace(path=folder)), program=program)
