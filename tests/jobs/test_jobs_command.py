"""`tunelab jobs …` from submission to end, with the real `train`; what it says, and what it survives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_files import jobs_in, local, spec, store_in

from train_task import write_task
from tunelab.cli.main import run as tunelab
from tunelab.cli.train import _same_line
from tunelab.errors import UserError
from tunelab.jobs.job_folder import held
from tunelab.jobs.state import JobState
from tunelab.jobs.submit import cancel, seconds_of
from tunelab.workspace import Run


@pytest.fixture
def task(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a good task, the current one; the runner is gone at the end."""
    write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    yield tmp_path
    last = time.monotonic() + 60
    while (tmp_path / ".tunelab").exists() and not _is_free(jobs_in(tmp_path).runner_lock):
        assert time.monotonic() < last
        time.sleep(0.05)


def _is_free(lock: Path) -> bool:
    with held(lock) as descriptor:
        return descriptor is not None


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run `tunelab jobs` and return what it printed on the stream that its exit code calls for."""
    capsys.readouterr()
    assert tunelab(["jobs", *arguments]) == code
    out, err = capsys.readouterr()
    return err if code == 2 else out


def test_a_recipe_is_submitted_trained_and_found_whole_though_it_is_deleted_meanwhile(
    task: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LORA__R", "3")
    submitted = json.loads(said(capsys, "submit", "task.yaml", "--set", "training.seed=5", "--json"))
    assert (submitted["is_new"], submitted["id"][:5]) == (True, "task-")
    job_id = submitted["id"]
    again = said(capsys, "submit", "task.yaml", "--set", "training.seed=5")
    assert f"This recipe was submitted before: job {job_id} is " in again
    (task / "task.yaml").unlink()
    (task / ".env").write_text("LLM_LORA__R=8\n")  # the job holds what was resolved at its submission
    monkeypatch.delenv("LLM_LORA__R")
    assert said(capsys, "wait", "task") == f"Job {job_id} succeeded.\n"
    run = Run(path=task / "runs" / job_id)
    assert run.is_finished
    assert (run.recipe.training.seed, run.recipe.adapter.r) == (5, 3)
    log = said(capsys, "logs", "-f", job_id)
    assert "[job] attempt 1" in log
    assert "[job] ended with 0" in log
    end = len(log.encode())
    assert said(capsys, "logs", job_id, "--since", str(end)) == ""
    shown = said(capsys, "show", job_id)
    assert "running → succeeded" in shown
    assert f"train .tunelab/job/{job_id}/recipe.yaml --run {job_id}" in shown
    assert str(task) not in (task / ".tunelab" / "job" / job_id / "job.json").read_text()
    moves = json.loads(said(capsys, "show", job_id, "--json"))["moves"]
    assert [move["new"] for move in moves] == ["queued", "starting", "running", "succeeded"]


def test_a_fault_of_the_user_fails_once_and_wait_ends_with_1(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (task / "train.jsonl").write_text("{\n" * 3)
    said(capsys, "submit", "task.yaml")
    assert "failed: ended with exit code 2" in said(capsys, "wait", "task", code=1)
    assert "train.jsonl:1" in said(capsys, "logs", "task")
    (job,) = json.loads(said(capsys, "list", "--json"))
    assert (job["state"], job["code"], job["attempt"]) == ("failed", 2, 1)
    assert "jobs retry task" in said(capsys, "submit", "task.yaml")
    assert "failed" in said(capsys, "list", "--state", "failed")
    assert "There is no queued job" in said(capsys, "list", "--state", "queued")


def test_another_name_or_key_is_another_job_and_the_same_key_is_not(
    task: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunelab.jobs.store.Store.needs_runner", lambda _: False)  # none of them is begun
    lines = [[], ["--name", "other"], ["--key", "k"], ["--set", "training.seed=9"], ["--key", "k", "--set", "lora.r=4"]]
    ids = [json.loads(said(capsys, "submit", "task.yaml", "--json", *line))["id"] for line in lines]
    assert len(set(ids)) == 4
    assert ids[4] == ids[2]
    assert ids[1].startswith("other-")
    (task / "copy").mkdir()
    text = (task / "task.yaml").read_text()
    (task / "copy" / "task.yaml").write_text(text.replace("train_files: ", "data_dir: ..\n  train_files: "))
    assert json.loads(said(capsys, "submit", "copy/task.yaml", "--json"))["id"] == ids[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("submit", "no.yaml"), "no such recipe"),
        (("submit", "task.yaml", "--name", "a/b"), "is no name for a job"),
        (("submit", "task.yaml", "--name", ".."), "is no name for a job"),
        (("submit", "task.yaml", "--name", "n" * 300), "is no name for a job"),
        (("submit", "task.yaml", "--name", "🙂"), "is no name for a job"),
        (("submit", "task.yaml", "--timeout", "soon"), "is no time"),
        (("submit", "task.yaml", "--timeout", "0"), "is no time"),
        (("submit", "task.yaml", "--timeout", "9" * 400), "is no time"),
        (("submit", "task.yaml", "--stall-timeout", "1.5h"), "--stall-timeout"),
        (("submit", "task.yaml", "--to", "moon"), '"moon" is no place that jobs can run at yet; expected local'),
        (("submit", "task.yaml", "--set", "training.output_dir=out"), "Leave training.output_dir out"),
        (("submit", "task.yaml", "--set", "data.train_files=gone.jsonl"), "gone.jsonl"),
        (("submit", "task.yaml", "--set", "lora.rr=1"), "lora.rr"),
        (("show", "task"), "there are no jobs here"),
        (("wait", "task"), "there are no jobs here"),
        (("list",), "there are no jobs here"),
    ],
)
def test_what_cannot_be_a_job_is_refused_in_one_message_and_leaves_nothing(
    arguments: tuple[str, ...], words: str, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(task.rglob("*"))
    message = said(capsys, *arguments, code=2)
    assert message.count("\n") == 1
    assert words in message
    assert sorted(task.rglob("*")) == before


@pytest.mark.parametrize("option", ["--priority", "--retries"])
def test_numbers_that_no_database_takes_are_refused(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tunelab(["jobs", "submit", "task.yaml", option, "9" * 20]) == 2
    assert option in capsys.readouterr().err
    assert not (tmp_path / ".tunelab").exists()


def test_every_time_that_a_person_would_write_is_one() -> None:
    right = {"90": 90, "90s": 90, "30m": 1_800, "6h": 21_600, "1d12h": 129_600, "1h30m5s": 5_405}
    assert {each: seconds_of(each, where="--timeout") for each in right} == right
    for each in ("", "h", "-5", "1.5h", "6 hours", "5m1h", "٣"):
        with pytest.raises(UserError, match="is no time"):
            seconds_of(each, where="--timeout")


def test_the_next_command_says_the_truth_after_the_machine_went_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the database says running, and nothing runs."""
    store = store_in(tmp_path)
    given = spec("job")
    job, _ = store.add(type(given)(**{each: getattr(given, each) for each in given.__slots__} | {"retries": 0}))
    attempt = store.folder.job("job").attempt(1)
    attempt.mkdir()
    (attempt / "start.json").write_text("{}")
    for state in (JobState.STARTING, JobState.RUNNING):
        moved = store.move(job, state)
        assert moved is not None
        job = moved
    store.close()
    monkeypatch.chdir(tmp_path)
    assert " lost " in said(capsys, "list")


def test_a_job_that_is_cancelled_in_the_queue_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.jobs.store.Store.needs_runner", lambda _: False)
    store_in(tmp_path).add(spec("job"))
    assert said(capsys, "cancel", "job") == "Job job is cancelled.\n"
    assert said(capsys, "cancel", "job") == "Job job has ended already: cancelled.\n"
    assert said(capsys, "retry", "job") == "Job job is queued again: attempt 2.\n"
    assert "the job is queued; expected one that has ended" in said(capsys, "retry", "job", code=2)


def test_jobs_are_listed_from_any_folder_of_their_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    store.add(spec("job"))
    cancel(store, local(store), store.get("job"))
    (tmp_path / "data" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data" / "deep")
    assert "job  cancelled" in said(capsys, "list")


def test_listing_jobs_brings_nothing_heavy(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add(spec("job"))
    cancel(store, local(store), store.get("job"))
    heavy = (
        "torch",
        "transformers",
        "numpy",
        "polars",
        "rich.console",
        "tunelab.recipes",
        "tunelab.rendering",
        "starlette",
        "uvicorn",
    )
    program = (
        "import sys; from tunelab.cli.main import run; code = run(sys.argv[1:]); "
        f"print(code, sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)"
    )
    for line in (["list"], ["list", "--json"], ["show", "job"], ["logs", "job"], ["cancel", "job"], ["wait", "job"]):
        command = [sys.executable, "-c", program, "jobs", *line]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.stderr.strip() in ("0 []", "1 []"), line


def test_a_run_that_was_stopped_in_a_job_goes_on_by_a_retry_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _same_line(Path("recipe.yaml"), "job", ["lora.r=4"]) == "train recipe.yaml --run job --set lora.r=4"
    monkeypatch.setenv("TUNELAB_JOB", "job")
    assert _same_line(Path("recipe.yaml"), "job", []) == "jobs retry job"
