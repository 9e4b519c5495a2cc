"""A run that trains nothing: the adapter of another one, or of a folder, is compared with its base."""

import shutil
from pathlib import Path

import pytest

from forked import Forker
from train_task import adapter_sha256, tree, write_lines, write_task
from tunelab.events import StepDone, read_events
from tunelab.files import sha256_folder
from tunelab.jobs.verdict import fault_of
from tunelab.workspace import Run

TAKE = "evaluation:\n  adapter_path: runs/made\n  compare_file: pairs.jsonl\n  num_examples: 2\n  max_new_tokens: 3\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, forker: Forker) -> Path:
    """A folder with a finished run, made, and pairs to compare on."""
    folder = tmp_path_factory.mktemp("trained")
    write_task(folder, tiny_model)
    assert forker.run("train", "task.yaml", "--run", "made", folder=folder).code == 0
    pairs = [{"query": f"question {number}", "response": f"answer {number}"} for number in range(4)]
    write_lines(folder / "pairs.jsonl", pairs)
    return folder


@pytest.fixture
def task(tmp_path: Path, trained: Path) -> Path:
    """A copy of it, with a recipe that takes the adapter."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (tmp_path / "take.yaml").write_text((trained / "task.yaml").read_text() + TAKE)
    return tmp_path


def test_an_adapter_is_taken_byte_by_byte_compared_with_its_base_and_nothing_is_trained(
    task: Path, forker: Forker
) -> None:
    line = ("train", "take.yaml", "--run", "taken")
    ended = forker.run(*line, folder=task)
    assert ended.code == 0
    assert "nothing was trained" in ended.out
    assert "Measure" in ended.out
    run, made = Run(path=task / "runs" / "taken"), Run(path=task / "runs" / "made")
    assert sha256_folder(run.adapter) == sha256_folder(made.adapter)
    assert fault_of(run) == ""  # so that its job has succeeded
    events = read_events(run.events_file)
    assert not any(isinstance(event, StepDone) for event in events)
    assert len(run.rows_file.read_text().splitlines()) == 2
    assert run.html_report_file.is_file()
    assert run.read_manifest().data_sha256 == made.read_manifest().data_sha256
    before = tree(task)
    again = forker.run(*line, folder=task)
    assert (again.code, "nothing was done" in again.out) == (0, True)
    assert tree(task) == before


def test_a_folder_of_peft_outside_any_run_is_taken_too(task: Path, forker: Forker) -> None:
    (task / "runs" / "made" / "adapter").rename(task / "loose")
    (task / "loose" / "training_args.bin").write_bytes(b"a pickle")
    (task / "loose" / "model.safetensors").write_bytes(b"weights of a whole model")
    given = ("--set", "evaluation.adapter_path=loose")
    assert forker.run("train", "take.yaml", "--run", "taken", *given, folder=task).code == 0
    run = Run(path=task / "runs" / "taken")
    assert adapter_sha256(run)
    assert sorted(run.read_manifest().files) == ["adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--set", "evaluation.adapter_path=gone"), "there is no adapter here"),
        (("--set", "evaluation.compare_file=gone.jsonl"), "gone.jsonl"),
        (("--set", "data.system_prompt=Be brief.", "--set", "data.chat_template=other.jinja"), "chat template"),
    ],
)
def test_what_keeps_the_comparison_from_being_made_is_refused_before_and_leaves_nothing(
    given: tuple[str, ...], words: str, task: Path, forker: Forker
) -> None:
    (task / "other.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    ended = forker.run("train", "take.yaml", "--run", "taken", *given, folder=task)
    assert ended.code == 2
    assert words in ended.err
    assert not (task / "runs" / "taken").exists()


def test_an_adapter_of_another_kind_than_the_recipes_is_refused(task: Path, tiny_model: Path, forker: Forker) -> None:
    write_task(task, tiny_model, adapter="soft_prompt")
    (task / "take.yaml").write_text((task / "task.yaml").read_text() + TAKE)
    ended = forker.run("train", "take.yaml", "--run", "taken", folder=task)
    assert (ended.code, "kind LORA, and the recipe is of kind PROMPT_TUNING" in ended.err) == (2, True)


def test_a_run_that_trained_is_not_gone_on_with_as_one_that_takes_an_adapter(task: Path, forker: Forker) -> None:
    ended = forker.run("train", "take.yaml", "--run", "made", folder=task)
    assert ended.code == 2
    assert "this run began with other settings" in ended.err
