"""The command `modellab`: ModelLab's own lines, word for word; what they print and end with."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
import tomllib
from pathlib import Path

import pytest
from stand_in import StandIn

from train_task import rows, write_lines
from tunelab.cli import modellab_command
from tunelab.cli.modellab_command import run_modellab
from tunelab.jobs.job_folder import JobsFolder, held
from tunelab.workspace import Workspace

LINES = {
    "listModels": "models",
    "createWorkspace --path c:/my-project": "new c:/my-project",
    "createWorkspace --path=-odd": "new ./-odd",
    "addModel --model_id microsoft/phi-silica-3.6": "add -- microsoft/phi-silica-3.6",
    "listLocalModels": "models --local",
    "syncProjects": "sync",
    "syncProjects --update": "sync --update",
    "convert --model_id microsoft/phi-silica-3.6 --workflow LoRA": (
        "run --model=microsoft/phi-silica-3.6 --workflow=LoRA"
    ),
    'convert --model_id a/b --workflow "Soft Prompt" --runtime local --name out': (
        "run --model=a/b '--workflow=Soft Prompt' --runtime=local --name=out"
    ),
    "cancelJob": "jobs cancel",
}
"""The lines of ModelLab's documents -> the arguments of tunelab that answer them."""


def said(capsys: pytest.CaptureFixture[str], line: str, *, code: int = 0) -> str:
    """Give a line to `modellab` and return what it printed, spaces at ends of lines apart."""
    capsys.readouterr()
    assert run_modellab(shlex.split(line)) == code
    out, err = capsys.readouterr()
    return re.sub(" +$", "", (err if code == 2 else out), flags=re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_modellabs_is_answered_by_one_of_tunelabs(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def note(arguments: list[str]) -> int:
        given.extend(arguments)
        return 7

    monkeypatch.setattr(modellab_command, "run", note)
    assert run_modellab(shlex.split(line)) == 7
    assert shlex.join(given) == LINES[line]


HELP = """\
usage: modellab [-h] COMMAND ...
"""


def test_help_names_every_command_and_each_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "--help")
    assert text.startswith(HELP)
    for command in {line.partition(" ")[0] for line in LINES}:
        assert re.search(rf"^    {command}\b", text, re.MULTILINE)
        assert said(capsys, f"{command} --help").startswith(f"usage: modellab {command} ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "modellab: the following arguments are required: COMMAND. See modellab --help.\n"),
        ("addModel", "modellab: the following arguments are required: --model_id. See modellab addModel --help.\n"),
        (
            "convert --model_id nano",
            "modellab: the following arguments are required: --workflow. See modellab convert --help.\n",
        ),
        ("listModels --update", "modellab: unrecognized arguments: --update. See modellab --help.\n"),
        ("syncProjects --up", "modellab: unrecognized arguments: --up. See modellab --help.\n"),
    ],
)
def test_a_line_that_is_none_is_one_message_and_exit_code_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, line, code=2) == message


def test_a_mistyped_command_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    message = said(capsys, "convrt --model_id nano", code=2)
    assert message == 'modellab: there is no command "convrt". Did you mean "convert"? See modellab --help.\n'


def test_the_story_of_the_documents_in_texts_and_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.cli.new.this_command", lambda: "tunelab")
    monkeypatch.setattr("tunelab.cli.add.this_command", lambda: "tunelab")
    assert "tunelab new DIR" in said(capsys, "listLocalModels", code=2)
    assert said(capsys, "createWorkspace --path my-project").splitlines()[0] == (
        "Workspace my-project: wrote .gitignore, finetuning.workspace.config."
    )
    monkeypatch.chdir(tmp_path / "my-project")
    assert said(capsys, "addModel --model_id nano").splitlines()[0] == "nano: wrote 13 files in nano_v1"
    assert "Did you mean" in said(capsys, "addModel --model_id nnao", code=2)
    monkeypatch.chdir(tmp_path / "my-project" / "nano_v1" / "lora")  # the workspace is found from any folder in it
    table = [line.split() for line in said(capsys, "listLocalModels").splitlines()]
    assert ["model", "folder", "workflows"] in table
    assert ["nano", "nano_v1", "LoRA,", "Soft", "Prompt"] in table
    assert said(capsys, "syncProjects") == (
        "12 files of projects are as their templates have them, but for your own changes.\n"
    )
    assert said(capsys, "syncProjects --update") == said(capsys, "syncProjects")
    assert "microsoft/phi-silica-3.6" in said(capsys, "listModels")
    assert "is no file, no folder" in said(capsys, "convert --model_id nano --workflow LoRA", code=2)
    assert said(capsys, "convert --model_id nano --workflow LoRA --runtime azure", code=2) == (
        'tunelab: --runtime: "azure" is no place that jobs can run at yet: the back-end for Azure is missing; '
        "expected local, this machine.\n"
    )
    assert said(capsys, "cancelJob") == "No job runs here, and none is queued.\n"


def test_cancel_job_ends_the_one_that_runs_and_names_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = StandIn(tmp_path, monkeypatch)
    work.go(endless=True)
    assert run_modellab(["convert", "--model_id", "nano", "--workflow", "LoRA", "--runtime", "cloud"]) == 2
    from tunelab.cli.main import run
    from tunelab.jobs.slots import write_slots

    write_slots(JobsFolder(workspace=Workspace(path=tmp_path)), 2)
    for name in ("a", "b"):
        assert run(["run", "--model", "nano", "--workflow", "LoRA", "--name", name, "--detach"]) == 0
    run(["jobs", "list"])
    message = said(capsys, "cancelJob", code=2)
    assert re.fullmatch(
        r"tunelab: 2 jobs are running; expected the id of one of them: b-\w+, a-\w+\. Give one: .* jobs cancel ID\n",
        message,
    )
    for job in work.store().jobs():
        assert run(["jobs", "cancel", job.id]) == 0
        assert run(["jobs", "wait", job.id]) == 1


def test_it_is_a_command_of_its_own() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["modellab"] == "tunelab.cli.modellab_command:main"


def test_convert_leaves_adapter_figures_history_and_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an empty folder to a run, by ModelLab's lines alone, with the real `train`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    said(capsys, "createWorkspace --path .")
    said(capsys, "addModel --model_id nano")
    lora = tmp_path / "nano_v1" / "lora"
    (lora / "dataset").mkdir()
    write_lines(lora / "dataset" / "train.json", rows(12))
    write_lines(lora / "dataset" / "test.json", rows(2, start=20))
    write_lines(lora / "pairs.jsonl", [{"query": "question 1", "response": "answer 1"}])
    text = (lora / "lora.yaml").read_text()
    for old, new in (
        ("num_warmup_steps: 400", "num_warmup_steps: 0"),
        ("num_training_steps: null", "num_training_steps: 2"),
        ("compare_enabled: false", "compare_enabled: true"),
        ("<compare_file>", "pairs.jsonl"),
    ):
        assert old in text
        text = text.replace(old, new)
    (lora / "lora.yaml").write_text(text)
    capsys.readouterr()
    assert run_modellab(["convert", "--model_id", "nano", "--workflow", "LoRA", "--name", "First"]) == 0
    entry = json.loads((tmp_path / "nano_v1" / "history" / "LoRA" / "First" / "history.config").read_text())
    run = tmp_path / "runs" / entry["run_id"]
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
    state = json.loads((run / "trainer_state.json").read_text())
    assert [each["step"] for each in state["log_history"] if "loss" in each] == [1, 2]
    report = json.loads((run / "report.json").read_text())
    assert (report["sampling"]["temperature"], report["tasks"][0]["num_rows"]) == (0.9, 1)
    last = time.monotonic() + 60
    while not _is_free(JobsFolder(workspace=Workspace(path=tmp_path)).runner_lock):
        assert time.monotonic() < last
        time.sleep(0.05)


def _is_free(lock: Path) -> bool:
    with held(lock) as descriptor:
        return descriptor is not None
