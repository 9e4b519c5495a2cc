"""The history of a project names runs, and stays true when the workspace is copied."""

import json
import shutil
from pathlib import Path

import pytest

from tunelab.errors import RunError, StorageError
from tunelab.workspace import MARKER, Run, find_workspace
from tunelab.workspace.history import HISTORY_FILE, new_entry, run_of


def workspace_with_run(folder: Path, run_id: str) -> Run:
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("{}")
    run = Run(path=folder / "runs" / run_id)
    run.path.mkdir(parents=True)
    run.recipe_file.write_text("data: {train_files: [a.jsonl]}\n")
    return run


def test_an_entry_leads_to_its_run_wherever_the_workspace_is_copied(tmp_path: Path) -> None:
    workspace_with_run(tmp_path / "here", "lora-1")
    entry = new_entry(tmp_path / "here" / "nano_v1", "LoRA", "first")
    entry.point_to("lora-1")
    shutil.copytree(tmp_path / "here", tmp_path / "there", symlinks=True)
    shutil.rmtree(tmp_path / "here")
    folder = tmp_path / "there" / "nano_v1" / "history" / "LoRA" / "first"
    assert json.loads((folder / HISTORY_FILE).read_text()) == {
        "version": 1, "workflow": "LoRA", "name": "first", "run_id": "lora-1"
    }  # fmt: skip
    found = find_workspace(folder).find_run(str(folder))
    assert found.path == tmp_path / "there" / "runs" / "lora-1"


def test_without_a_name_each_entry_is_a_new_one_named_for_workflow_and_time(tmp_path: Path) -> None:
    entries = [new_entry(tmp_path, "Soft Prompt") for _ in range(3)]
    assert len({entry.path for entry in entries}) == 3
    assert all(entry.is_new and entry.name.startswith("Soft_Prompt_20") for entry in entries)
    assert {entry.path.parent for entry in entries} == {tmp_path / "history" / "Soft Prompt"}


def test_a_name_that_is_there_is_the_same_entry(tmp_path: Path) -> None:
    assert [new_entry(tmp_path, "LoRA", "a").is_new for _ in range(2)] == [True, False]


def test_an_entry_that_came_to_nothing_leaves_nothing_and_one_that_was_there_stays(tmp_path: Path) -> None:
    entry = new_entry(tmp_path, "LoRA", "a")
    entry.point_to("one")
    entry.take_back()
    assert list(tmp_path.iterdir()) == []
    new_entry(tmp_path, "LoRA", "a").point_to("one")
    new_entry(tmp_path, "LoRA", "a").take_back()
    assert (tmp_path / "history" / "LoRA" / "a" / HISTORY_FILE).is_file()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "n" * 61, "a b", "🙂", "a\0b"])
def test_a_name_that_no_folder_should_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no name for a run"):
        new_entry(tmp_path, "LoRA", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workflow", ["../../out", "a/b", "..", "🙂", "w" * 300, "nul\0"])
def test_a_workflow_of_any_name_has_its_history_inside_the_project(workflow: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    entry = new_entry(project, workflow, "a")
    assert entry.path.resolve().parent.parent == project / "history"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "names no run"),
        ('{"workflow": "LoRA", "name": "a"}', "names no run"),
        ('{"run_id": 7}', "is no id of a run"),
        ("[" * 100_000, "names no run"),
        ('{"workflow": "LoRA", "name": "a", "run_id": "../../secret"}', "is no id of a run"),
        ("\xff", "names no run"),
    ],
)
def test_a_damaged_entry_is_named_and_leads_nowhere(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=words):
        run_of(tmp_path, tmp_path / "runs")


def test_an_entry_whose_run_is_gone_says_which_run(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("{}")
    entry = new_entry(tmp_path / "nano_v1", "LoRA", "a")
    entry.point_to("lora-1")
    with pytest.raises(RunError, match="its run lora-1 is not here"):
        find_workspace(tmp_path).find_run(str(entry.path))


def test_a_file_in_the_way_of_the_history_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("")
    with pytest.raises(StorageError, match="history"):
        new_entry(tmp_path, "LoRA")
