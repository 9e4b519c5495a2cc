"""`--run ID`: one line is right before, after and between any deaths, and a run can be moved."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forked import Ended, Forker
from train_task import adapter_sha256, only_run, tree, write_task
from tunelab.cli.main import run as tunelab
from tunelab.training.trainer import Trainer
from tunelab.workspace import MARKER, Run

LINE = ("train", "task.yaml", "--run", "night")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, forker: Forker) -> tuple[str, int]:
    """Adapter and number of changes to the file system of the undisturbed run."""
    folder = tmp_path_factory.mktemp("straight")
    write_task(folder, tiny_model)
    ended = forker.run(*LINE, folder=folder)
    assert (ended.code, ended.err) == (0, "")
    return adapter_sha256(only_run(folder)), ended.num_changes


def finished(ended: Ended, folder: Path, sha256: str) -> Run:
    """Return the run that a line has finished."""
    assert (ended.code, ended.err) == (0, "")
    run = only_run(folder)
    assert (run.id, run.is_finished, adapter_sha256(run)) == ("night", True, sha256)
    return run


@pytest.mark.parametrize(
    "kill", [1, 9, 57, -5, *(pytest.param(kill, marks=pytest.mark.slow) for kill in (2, 3, 40, -14, -1))]
)
def test_the_same_line_is_right_after_any_death(
    kill: int, tmp_path: Path, tiny_model: Path, forker: Forker, straight: tuple[str, int]
) -> None:
    sha256, num_changes = straight
    write_task(tmp_path, tiny_model)
    killed = forker.run(*LINE, folder=tmp_path, kill_at=kill if kill > 0 else num_changes + 1 + kill)
    assert killed.code == -signal.SIGKILL
    finished(forker.run(*LINE, folder=tmp_path), tmp_path, sha256)
    before = tree(tmp_path)
    again = forker.run(*LINE, folder=tmp_path)
    assert (again.code, again.err, again.out.count("\n")) == (0, "", 1)
    assert again.out.startswith("Run night is finished; nothing was done.")
    assert tree(tmp_path) == before


def test_the_same_line_finds_a_finished_run_without_torch(tmp_path: Path, tiny_model: Path, forker: Forker) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run(*LINE, folder=tmp_path).code == 0
    program = (
        f"import sys; from tunelab.cli.main import run; code = run({list(LINE)}); print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--run", "night", "--set", "training.learning_rate=0.5"), "training.learning_rate is 0.5, and was 0.02"),
        (("--run", "../night"), "is no id for a run"),
        (("--run", "n" * 101), "at most 100"),
        (("--run", "latest"), '"latest" is no id for a run'),
        (("--run", "nano"), "is the name of a base model"),
        (("--run", "night", "--resume"), "--run and --resume are both given"),
        (("--run", "new", "--set", "training.output_dir=out"), "Leave one of the two out"),
    ],
)
def test_a_line_that_cannot_be_right_is_refused_and_changes_nothing(
    arguments: tuple[str, ...], words: str, tmp_path: Path, tiny_model: Path, forker: Forker
) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run(*LINE, folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    before = tree(tmp_path)
    refused = forker.run("train", "task.yaml", *arguments, folder=tmp_path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert words in refused.err
    assert tree(tmp_path) == before


def test_a_new_run_that_cannot_begin_leaves_nothing(tmp_path: Path, tiny_model: Path, forker: Forker) -> None:
    write_task(tmp_path, tiny_model)
    (tmp_path / "train.jsonl").write_text("{\n")
    before = tree(tmp_path)
    assert forker.run(*LINE, folder=tmp_path).code == 2
    (tmp_path / "runs").rmdir()
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "kill",
    [pytest.param(kill, marks=() if kill in (20, 50, 85, 115) else pytest.mark.slow) for kill in range(20, 120, 5)],
)
def test_a_workspace_that_was_moved_after_a_kill_goes_on_to_the_same_bytes(
    kill: int, tmp_path: Path, tiny_model: Path, forker: Forker, straight: tuple[str, int]
) -> None:
    old, new = tmp_path / "old", tmp_path / "another place" / "deeper"
    write_task(old / "tasks", tiny_model)
    (old / MARKER).write_text("{}")
    line = ("train", "tasks/task.yaml", "--run", "night")
    assert forker.run(*line, folder=old, kill_at=kill).code == -signal.SIGKILL
    new.parent.mkdir()
    shutil.copytree(old, new)
    shutil.rmtree(old)
    run = finished(forker.run(*line, folder=new), new, straight[0])
    assert str(old) not in run.recipe_file.read_text()


def test_what_lies_outside_the_workspace_may_be_moved_if_its_content_stays(
    tmp_path: Path, tiny_model: Path, forker: Forker, straight: tuple[str, int]
) -> None:
    model = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_model, model)
    folder = tmp_path / "work"
    write_task(folder, model)
    assert forker.run(*LINE, folder=folder, kill_at=60).code == -signal.SIGKILL
    model = model.rename(tmp_path / "moved")
    moved = forker.run(*LINE, "--set", f"model.base_model={model}", folder=folder)
    assert str(model) in finished(moved, folder, straight[0]).recipe_file.read_text()


@pytest.mark.parametrize("go_on", [("--run", "night"), ("--resume",)])
def test_a_comparison_that_a_kill_kept_from_its_end_is_made_by_the_same_line(
    go_on: tuple[str, ...], tmp_path: Path, tiny_model: Path, forker: Forker
) -> None:
    write_task(tmp_path, tiny_model)
    compare = ("--set", "evaluation.compare=true", "--set", "evaluation.max_new_tokens=2")
    assert forker.run(*LINE, *compare, folder=tmp_path).code == 0
    run = only_run(tmp_path)
    run.report_file.unlink()
    run.html_report_file.unlink()
    for line in range(2):
        again = forker.run("train", "task.yaml", *go_on, *compare, folder=tmp_path)
        assert again.code == 0
        assert "nothing was done" in again.out
        assert ("report.html" in again.out) == (line == 0)
        assert run.report_file.is_file()


def test_a_finished_run_is_not_taken_for_one_of_other_files(tmp_path: Path, tiny_model: Path, forker: Forker) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run(*LINE, folder=tmp_path).code == 0
    other = shutil.copy(tmp_path / "train.jsonl", tmp_path / "other.jsonl")
    before = tree(tmp_path)
    for setting in ("data.train_files=other.jsonl", "model.base_model=nano", f"evaluation.compare_file={other}"):
        refused = forker.run(*LINE, "--set", setting, folder=tmp_path)
        assert refused.code == 2
        assert f"this run began with other settings: {setting.partition('=')[0]} is" in refused.err
    assert tree(tmp_path) == before
    (tmp_path / "train.jsonl").unlink()
    moved = forker.run(*LINE, "--set", "data.train_files=other.jsonl", folder=tmp_path)
    assert (moved.code, moved.out.count("is finished; nothing was done")) == (0, 1)


def test_other_data_at_the_same_place_are_refused(tmp_path: Path, tiny_model: Path, forker: Forker) -> None:
    write_task(tmp_path, tiny_model)
    assert forker.run(*LINE, folder=tmp_path, kill_at=60).code == -signal.SIGKILL
    file = tmp_path / "train.jsonl"
    file.write_text(file.read_text().replace("answer 1", "answer 9"))
    refused = forker.run(*LINE, folder=tmp_path)
    assert refused.code == 2
    assert "data, chat template or base model changed since this checkpoint was saved" in refused.err


def test_after_ctrl_c_the_same_line_is_printed_and_goes_on(
    tmp_path: Path,
    tiny_model: Path,
    straight: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Trainer.train_step

    def interrupted(trainer: Trainer, *arguments: object) -> object:
        if trainer.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(trainer, *arguments)  # type: ignore[arg-type]

    write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    line = [*LINE, "--set", "training.output_dir=null"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may be started with it ignored
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "train_step", interrupted)
            assert tunelab(line) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    (said,) = [each for each in capsys.readouterr().out.splitlines() if "Go on with:" in each]
    words = shlex.split(said.partition("Go on with:")[2])
    again = words[words.index("train") :]
    assert again == line
    assert tunelab(again) == 0
    assert adapter_sha256(only_run(tmp_path)) == straight[0]
