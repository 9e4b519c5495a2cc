"""`tunelab run`: a workflow as a job, followed to its end, stopped by Ctrl+C, gone on with by the same line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_in import StandIn

from tunelab.cli import job_log
from tunelab.cli.job_log import exit_code
from tunelab.cli.main import run as tunelab
from tunelab.errors import StorageError
from tunelab.jobs.job import Job
from tunelab.jobs.state import JobState

LINE = ("run", "--model", "nano", "--workflow", "LoRA")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(tmp_path, monkeypatch)


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch, work: StandIn) -> Callable[[int], None]:
    """Ctrl+C, so many times, each once the job has said that it is at work."""

    def interrupt(times: int) -> None:
        left, sleep = [None] * times, job_log.time.sleep

        def looking(seconds: float) -> None:
            at_work = any("at work" in file.read_text() for file in work.path.glob(".tunelab/job/*/log-*"))
            if left and at_work:
                left.pop()
                raise KeyboardInterrupt
            sleep(min(seconds, 0.02))

        monkeypatch.setattr(job_log.time, "sleep", looking)

    return interrupt


def said(capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> tuple[str, str]:
    """Run LINE with more options, and return what it printed."""
    capsys.readouterr()
    assert tunelab([*LINE, *more]) == code
    out, err = capsys.readouterr()
    return out, err


def test_a_workflow_is_run_to_its_end_with_the_time_of_each_line_and_found_in_the_history(
    work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys)
    first, *lines = out.splitlines()
    (entry,) = (work.path / "nano_v1" / "history" / "LoRA").iterdir()
    assert re.fullmatch(r"LoRA_\d{8}-\d{6}", entry.name)
    run_id = json.loads((entry / "history.config").read_text())["run_id"]
    assert first == f"Job {run_id} is starting; in the history: nano_v1/history/LoRA/{entry.name}"
    assert [re.sub(r"^\S+Z ", "", line) for line in lines] == ["[job] attempt 1", "at work", "[job] ended with 0"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line) for line in lines)
    assert err.splitlines()[0] == f"Job {run_id} succeeded."
    assert f"chat runs/{run_id}" in err
    assert (work.path / "runs" / run_id / "manifest.json").is_file()
    said(capsys)
    assert len(list(entry.parent.iterdir())) == 2  # without a name, each run is a new one


def test_ctrl_c_asks_the_job_to_save_and_stop_and_the_same_line_goes_on_with_it(
    work: StandIn, capsys: pytest.CaptureFixture[str], interrupting: Callable[[int], None]
) -> None:
    work.go(endless=True)
    interrupting(1)
    out, err = said(capsys, "--name", "Night", code=130)
    (job,) = work.store().jobs()
    assert f"Job {job.id} saves and stops; Ctrl+C once more ends it at once." in err
    assert "[job] asked to save and stop" in out
    assert f"Job {job.id} cancelled: ended with exit code 143." in err
    assert f"jobs retry {job.id}" in err
    work.go()
    out, err = said(capsys, "--name", "Night")
    (job,) = work.store().jobs()
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert "attempt 1" not in out  # what was printed before is not printed again
    assert "attempt 2" in out
    out, _ = said(capsys, "--name", "Night")
    assert out == f"Job {job.id} is succeeded; in the history: nano_v1/history/LoRA/Night\n"


def test_a_second_ctrl_c_ends_a_job_that_does_not_stop(
    work: StandIn, capsys: pytest.CaptureFixture[str], interrupting: Callable[[int], None]
) -> None:
    work.go(endless=True, ignores=True)
    interrupting(2)
    out, err = said(capsys, code=130)
    assert "is ended at once" in err
    assert "[job] killed" in out
    assert [job.state for job in work.store().jobs()] == [JobState.CANCELLED]


def test_detached_it_returns_at_once_and_names_the_command_that_follows(
    work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys, "--detach", "--timeout", "6h")
    (job,) = work.store().jobs()
    assert f"jobs logs -f {job.id}" in out
    assert "at work" not in out + err
    assert work.store().spec(job.id).timeout_s == 21_600
    assert tunelab(["jobs", "wait", job.id]) == 0
    (entry,) = (work.path / "nano_v1" / "history" / "LoRA").iterdir()
    out, _ = said(capsys, "--name", entry.name, "--timeout", "7h")
    assert f"Note     job {job.id} keeps the --timeout that it was submitted with." in out


@pytest.mark.parametrize(("how", "code"), [({"code": 1}, 1), ({"code": 2}, 2), ({"code_after": 2}, 2)])
def test_the_exit_code_is_the_jobs(
    how: dict[str, int], code: int, work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    work.go(**how)
    said(capsys, code=code)


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        (JobState.SUCCEEDED, 0, 0),
        (JobState.SUCCEEDED, 137, 0),  # its run was whole before it was killed
        (JobState.SUCCEEDED, 2, 2),  # its run is whole, and the comparison that it was asked for failed
        (JobState.FAILED, 2, 2),
        (JobState.FAILED, 75, 75),
        (JobState.TIMED_OUT, 143, 143),
        (JobState.LOST, None, 75),
        (JobState.LOST, 137, 75),
        (JobState.CANCELLED, None, 143),
    ],
)
def test_every_end_has_a_code_of_the_table(state: JobState, code: int | None, expected: int) -> None:
    job = Job(
        id="a", key="a", state=state, attempt=1, max_attempt=1, priority=0, submitted=0, changed=0, code=code, reason=""
    )
    assert exit_code(job) == expected
    if state is JobState.CANCELLED:
        assert exit_code(job, interrupted=True) == 130


def test_a_name_stands_for_one_run_unless_it_never_began(work: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    work.go(refuses=True, code=2)
    _, err = said(capsys, "--name", "a", code=2)
    assert "change what the log names, and give the same line again" in err
    work.go()
    work.set("seed", "7")
    said(capsys, "--name", "a")  # with other settings, as it was told to
    _, err = said(capsys, "--name", "a", "--set", "training.seed=8", code=2)
    assert "a was run before with other settings: job a-" in err
    entry = json.loads((work.path / "nano_v1" / "history" / "LoRA" / "a" / "history.config").read_text())
    assert [job.id for job in work.store().jobs([JobState.SUCCEEDED])] == [entry["run_id"]]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--name", "a/b"), "is no name for a run"),
        (("--name", ".."), "is no name for a run"),
        (("--name", "n" * 300), "is no name for a run"),
        (("--timeout", "soon"), "is no time"),
        (("--set", "lora.rr=1"), "lora.rr"),
        (("--set", "data.train_files=gone.jsonl"), "gone.jsonl"),
        (
            ("--runtime", "azure"),
            '"azure" is no place that jobs can run at yet: the back-end for Azure is missing; expected local',
        ),
        (("--runtime", "ACA"), "the back-end for Azure Container Apps is missing"),
        (("--runtime", "lokal"), '--runtime: "lokal" is no place that jobs can run at yet; expected local'),
        (("--workflow", "LoAR"), 'there is no workflow "LoAR". Did you mean "LoRA"?'),
        (("--model", "nnao"), 'Did you mean "nano"?'),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_message_and_leaves_no_history(
    more: tuple[str, ...], words: str, work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys, *more, code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert not (work.path / "nano_v1" / "history").exists()
    assert work.store().jobs() == []


@pytest.mark.parametrize("error", [StorageError("the disk is full"), KeyboardInterrupt()])
def test_a_submission_that_is_cut_short_leaves_no_history_and_the_same_line_is_right(
    error: BaseException, work: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("tunelab.cli.run.Store.add", refuse)
        said(capsys, "--name", "a", code=130 if isinstance(error, KeyboardInterrupt) else 2)
    assert not (work.path / "nano_v1" / "history").exists()
    said(capsys, "--name", "a")


def test_outside_a_workspace_the_command_that_makes_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, err = said(capsys, code=2)
    assert "tunelab new" in err


def test_in_the_terminal_of_vs_code_links_open_the_log_and_the_figures(
    work: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "vscode://" not in "".join(said(capsys))
    monkeypatch.setenv("TERM_PROGRAM", "vscode")
    out, _ = said(capsys, "--name", "a")
    (job,) = (job for job in work.store().jobs() if job.id.startswith("a-"))
    links = re.findall(r"vscode://\S+", out)
    assert links == [
        f"vscode://file{work.path}/.tunelab/job/{job.id}/log-{0:016}",
        f"vscode://file{work.path}/runs/{job.id}/trainer_state.json",
    ]
    monkeypatch.setenv("WSL_DISTRO_NAME", "Debian 12")
    capsys.readouterr()
    job_log.print_editor_link(Path("/a b"))
    assert capsys.readouterr().out == "Open     vscode://vscode-remote/wsl+Debian%2012/a%20b\n"


def test_a_job_is_cancelled_without_its_id_if_it_is_the_only_one(
    work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    work.go(endless=True)
    for name in ("a", "b"):
        said(capsys, "--name", name, "--detach")
    assert tunelab(["jobs", "cancel"]) == 0  # a runs, and b is in the queue
    assert tunelab(["jobs", "wait", "a-"]) == 1
    work.go()
    assert tunelab(["jobs", "wait", "b-"]) == 0
    capsys.readouterr()
    assert tunelab(["jobs", "cancel"]) == 0
    assert capsys.readouterr().out == "No job runs here, and none is queued.\n"


def test_names_that_differ_in_large_and_small_letters_alone_are_never_one_job(
    work: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "--name", "Mine", "--detach")
    _, err = said(capsys, "--name", "mine", code=2)
    assert '"mine" is the name of a run in other letters; expected Mine, or another name' in err
    assert [each.name for each in (work.path / "nano_v1" / "history" / "LoRA").iterdir()] == ["Mine"]
    assert len(work.store().jobs()) == 1
