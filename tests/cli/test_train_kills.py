"""A run cannot be lost: killed at any instant, interrupted, or without room on the disk, it ends in the same bytes."""

import json
import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from forked import Ended, Forker, Started
from train_task import ADAPTERS, adapter_sha256, only_run, steps, tree, write_task
from tunelab.cli.main import run as tunelab
from tunelab.events import RunFinished, RunInterrupted, read_events
from tunelab.workspace import Run


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, forker: Forker) -> dict[str, tuple[str, int]]:
    """Adapter and number of changes to the file system of the undisturbed run, for each kind of adapter."""
    found = {}
    for adapter in ADAPTERS:
        folder = tmp_path_factory.mktemp(f"straight_{adapter}")
        write_task(folder, tiny_model, adapter=adapter)
        ended = forker.run("train", "task.yaml", folder=folder)
        assert (ended.code, ended.err) == (0, "")
        found[adapter] = adapter_sha256(only_run(folder)), ended.num_changes
    return found


def assert_whole(run: Run, sha256: str) -> None:
    """Nothing of what a kill left is left, and the events tell one undisturbed run."""
    assert adapter_sha256(run) == sha256
    assert not [path for path in run.path.rglob(".*") if path.name != ".lock"]
    events = read_events(run.events_file)
    assert [step.step for step in steps(events)] == list(range(1, 13))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].adapter_sha256 == sha256


# Out of about 135: in the folder, the attempt, the recipe, the first checkpoint, one that replaces another, the
# adapter, the plot, the manifest.
KILLS = {
    "lora": (2, 9, 14, 57, -14, -5, -1),
    **dict.fromkeys(("soft_prompt", "prefix_tuning", "qlora", "ia3", "full"), (40,)),
}


@pytest.mark.parametrize(("adapter", "kill"), [(name, kill) for name, kills in KILLS.items() for kill in kills])
def test_pain_16_a_run_killed_inside_a_save_resumes_to_the_same_bytes(
    adapter: str, kill: int, tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    sha256, num_changes = straight[adapter]
    write_task(tmp_path, tiny_model, adapter=adapter)
    killed = forker.run("train", "task.yaml", folder=tmp_path, kill_at=kill if kill > 0 else num_changes + 1 + kill)
    assert killed.code == -signal.SIGKILL
    if not list(tmp_path.glob("runs/*/recipe.yaml")):  # it was no run yet
        assert forker.run("train", "task.yaml", "--resume", folder=tmp_path).code == 2
        again = forker.run("train", "task.yaml", folder=tmp_path)
    else:
        again = forker.run("train", "task.yaml", "--resume", folder=tmp_path)
    assert (again.code, again.err) == (0, "")
    assert_whole(only_run(tmp_path), sha256)


def test_pain_16_a_run_that_is_killed_again_and_again_gets_there(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    killed = [forker.run("train", "task.yaml", folder=tmp_path, kill_at=21)]
    while killed[-1].code == -signal.SIGKILL:
        killed.append(forker.run("train", "task.yaml", "--resume", folder=tmp_path, kill_at=40))
        assert len(killed) < 12
    assert len(killed) > 3
    assert killed[-1].code == 0
    assert_whole(only_run(tmp_path), straight["lora"][0])


def test_a_torn_last_line_of_the_events_costs_nothing(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run("train", "task.yaml", folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    events = only_run(tmp_path).events_file
    events.write_bytes(events.read_bytes()[:-9])
    assert forker.run("train", "task.yaml", "--resume", folder=tmp_path).code == 0
    assert_whole(only_run(tmp_path), straight["lora"][0])


def at_work(started: Started, folder: Path, *, steps_done: int = 3) -> Started:
    """Wait until a run has done some steps."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for events in folder.glob("runs/*/events.jsonl"):
            if len(steps(read_events(events))) >= steps_done:
                return started
        time.sleep(0.01)
    raise AssertionError("no step was done")


def told_command(ended: Ended) -> list[str]:
    """Return the arguments of the command that the output says to go on with."""
    (line,) = [line for line in ended.out.splitlines() if "Go on with:" in line]
    return shlex.split(line.partition("Go on with:")[2])[1:]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_says_how_to_go_on_and_what_it_says_works(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    tiny_model: Path,
    forker: Forker,
    straight: dict[str, tuple[str, int]],
) -> None:
    folder = tmp_path / "a folder, with spaces"
    write_task(folder, tiny_model)
    started = at_work(forker.start("train", "task.yaml", folder=folder, pause_s=1, pause_from=4), folder)
    started.send(number)
    ended = started.wait()
    assert ended.code == code
    assert ended.err.strip() == "The run ends after this step and is saved; once more ends it at once."
    run = only_run(folder)
    *_, last = read_events(run.events_file)
    assert isinstance(last, RunInterrupted)
    assert last.signal == number.name
    assert f"Saved at step {last.step}. " in ended.out
    assert not run.is_finished
    again = forker.run(*told_command(ended), folder=folder)
    assert (again.code, again.err) == (0, "")
    assert f"Resumed after step {last.step}: " in again.out
    assert only_run(folder) == run
    assert adapter_sha256(run) == straight["lora"][0]


def test_a_second_ctrl_c_ends_at_once_and_nothing_saved_is_lost(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    started = at_work(forker.start("train", "task.yaml", folder=tmp_path, pause_s=60, pause_from=4), tmp_path)
    asked = time.monotonic()
    started.send(signal.SIGINT)
    started.reported("once more ends it at once")
    started.send(signal.SIGINT)
    ended = started.wait()
    assert (ended.code, time.monotonic() - asked < 30) == (130, True)  # half of the pause that it did not sit out
    assert "Traceback" not in ended.err
    assert sorted(path.name for path in only_run(tmp_path).checkpoints.iterdir()) == ["step-00000002"]
    assert forker.run("train", "task.yaml", "--resume", folder=tmp_path).code == 0
    assert adapter_sha256(only_run(tmp_path)) == straight["lora"][0]


def test_a_background_job_is_told_that_ctrl_c_is_ignored_and_what_ends_it(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `tunelab train … &`
    try:
        assert tunelab(["train", "task.yaml"]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert f"Ctrl+C is ignored, as for a shell's background job: kill {os.getpid()} saves" in capsys.readouterr().err


def test_resuming_a_finished_run_does_nothing(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    assert tunelab(["train", "task.yaml"]) == 0
    before = tree(tmp_path)
    capsys.readouterr()
    for recipe in ("task.yaml", str(only_run(tmp_path).recipe_file)):
        assert tunelab(["train", recipe, "--resume"]) == 0
        told = capsys.readouterr().out
        assert "This run is finished; nothing was done." in told
        assert "To train longer, start a new run" in told
    assert tree(tmp_path) == before


def test_the_recipe_in_a_runs_folder_resumes_that_run_and_no_later_one(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run("train", "task.yaml", folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    first = only_run(tmp_path)
    assert forker.run("train", "task.yaml", folder=tmp_path).code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = forker.run("train", str(first.recipe_file), "--resume", folder=elsewhere)
    assert (again.code, again.err) == (0, "")
    assert adapter_sha256(first) == straight["lora"][0]


def test_resuming_what_is_not_there_or_was_changed_is_refused(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    none = forker.run("train", "task.yaml", "--resume", folder=tmp_path)
    assert none.code == 2
    assert "there is no run of exactly this recipe to resume" in none.err
    assert not (tmp_path / "runs").exists()

    assert forker.run("train", "task.yaml", folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    run, before = only_run(tmp_path), tree(tmp_path / "runs")
    changed = forker.run("train", "task.yaml", "--resume", "--set", "training.learning_rate=0.1", folder=tmp_path)
    assert changed.code == 2
    assert "name the recipe.yaml in its folder" in changed.err
    assert tree(tmp_path / "runs") == before

    data = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(data.replace("answer 1", "answer 9"))
    other = forker.run("train", "task.yaml", "--resume", folder=tmp_path)
    assert other.code == 2
    assert "recipe, data, chat template or base model changed since this checkpoint was saved" in other.err
    assert other.err.count("\n") == 1
    (tmp_path / "train.jsonl").write_text(data)
    assert forker.run("train", "task.yaml", "--resume", folder=tmp_path).code == 0
    assert_whole(run, straight["lora"][0])


@pytest.mark.parametrize("fault", [{"full_from": 12}, {"max_bytes": 30_000}])  # before a word of it, half-way through
def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_so(
    fault: dict[str, int], tmp_path: Path, tiny_model: Path, forker: Forker, straight: dict[str, tuple[str, int]]
) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run("train", "task.yaml", folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    ended = forker.run("train", "task.yaml", "--resume", folder=tmp_path, **fault)
    run = only_run(tmp_path)
    kept = sorted(path.name for path in run.checkpoints.iterdir())
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert ("the disk is full" in ended.err) == ("full_from" in fault)
    assert f"The checkpoint {kept[-1]} is whole." in ended.err
    arguments = shlex.split(ended.err.partition("go on with: ")[2])[1:]
    assert arguments == ["train", str(run.recipe_file), "--resume"]
    again = forker.run("train", str(run.recipe_file), "--resume", folder=tmp_path)
    assert (again.code, again.err) == (0, "")
    assert f"Resumed after step {int(kept[-1].removeprefix('step-'))}: " in again.out
    assert_whole(run, straight["lora"][0])


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(
    tmp_path: Path, tiny_model: Path, forker: Forker
) -> None:
    write_task(tmp_path, tiny_model)
    before = tree(tmp_path)
    for first in (1, 2, 3):
        ended = forker.run("train", "task.yaml", folder=tmp_path, full_from=first)
        assert ended.code == 2
        assert "the disk is full" in ended.err
        assert ended.err.count("\n") == 1
        (tmp_path / "runs").rmdir() if (tmp_path / "runs").exists() else None
        assert tree(tmp_path) == before


def test_a_run_in_use_by_another_process_is_refused_and_goes_on(
    tmp_path: Path,
    tiny_model: Path,
    forker: Forker,
    straight: dict[str, tuple[str, int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_task(tmp_path, tiny_model)
    started = at_work(forker.start("train", "task.yaml", folder=tmp_path, pause_s=1, pause_from=4), tmp_path)
    started.send(signal.SIGSTOP)  # at work, and no further before it was asked for twice
    own = str(only_run(tmp_path).recipe_file)
    try:
        for arguments in ([own, "--resume"], [own, "--resume"]):
            assert tunelab(["train", *arguments]) == 2
            err = capsys.readouterr().err
            assert f"this run is in use by process {started.pid}" in err
            assert err.count("\n") == 1
    finally:
        started.send(signal.SIGCONT)
    assert started.wait().code == 0
    assert file.exists()
    assert_whole(only_run(tmp_path), straight["lora"][0])


def test_pain_25_a_run_needs_no_screen_and_who_reads_its_files_sees_it_all(
    tmp_path: Path,
    tiny_model: Path,
    forker: Forker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tunelab.cli import training_progress

    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    write_task(tmp_path, tiny_model)
    started = at_work(forker.start("train", "task.yaml", folder=tmp_path, pause_s=0.05), tmp_path, steps_done=2)
    seen = steps(read_events(only_run(tmp_path).events_file))
    assert [step.step for step in seen][:2] == [1, 2]
    assert started.wait().code == 0
    assert steps(read_events(only_run(tmp_path).events_file))[: len(seen)] == seen

    with monkeypatch.context() as patch, training_progress.progress_line() as listener:
        patch.setattr(training_progress, "say", gone)
        for event in read_events(only_run(tmp_path).events_file):
            listener(event)
    assert json.loads(only_run(tmp_path).events_file.read_text().splitlines()[-1])["event"] == "run_finished"
