"""A workspace is made whole or not at all; what a folder of ModelLab's holds is in it byte by byte."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tunelab.errors import StorageError, WorkspaceError
from tunelab.workspace import MARKER, Workspace, find_workspace
from tunelab.workspace.projects import create_workspace, projects_of
from workspace.workspace_files import LORA, Killed, contents, dying, workspace_with


@pytest.mark.parametrize("name", ["ws", "deep/er/ws", "with space", "😀"])
def test_a_new_workspace_is_found_from_inside_and_given_again_stays_as_it_is(tmp_path: Path, name: str) -> None:
    new = create_workspace(tmp_path / name)
    assert new.files == (".gitignore", MARKER)
    assert (new.workspace.path / MARKER).read_text() == '{\n  "version": "1.0.0"\n}\n'
    assert find_workspace(new.workspace.path) == new.workspace
    before = contents(new.workspace.path)
    assert create_workspace(tmp_path / name).files == ()
    assert contents(new.workspace.path) == before


def test_a_folder_with_files_becomes_a_workspace_and_keeps_them(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"mine\r\n")
    (tmp_path / "notes.txt").write_text("mine")
    assert create_workspace(tmp_path).files == (MARKER,)
    assert (tmp_path / ".gitignore").read_bytes() == b"mine\r\n"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_version_control_keeps_recipes_history_and_templates_and_leaves_runs_and_jobs_out(tmp_path: Path) -> None:
    folder = workspace_with(tmp_path / "ws", "lora").path
    kept = [LORA.as_posix(), "nano_v1/history/LoRA/LoRA_20261130/history.config", f".tunelab/templates/{LORA}"]
    left_out = ["runs/a/recipe.yaml", ".tunelab/jobs.db", "nano_v1/history/LoRA/LoRA_20261130/adapter.safetensors"]
    for name in (*kept, *left_out):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert set(kept) <= set(listed)
    assert set(left_out).isdisjoint(listed)


def test_a_workspace_inside_another_is_refused_in_both_directions(tmp_path: Path) -> None:
    outer = create_workspace(tmp_path / "outer").workspace
    with pytest.raises(WorkspaceError, match=r"a workspace around it, .*outer.*add models to that one: tunelab add"):
        create_workspace(outer.path / "a" / "inner")
    with pytest.raises(WorkspaceError, match=r"a workspace inside it, .*outer"):
        create_workspace(tmp_path)
    assert os.listdir(tmp_path) == ["outer"]
    assert not (outer.path / "a").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file", r"file: this is a file"),
        ("file/ws", r"writing failed: Not a directory"),
        ("x" * 300, r"writing failed: File name too long"),
        ("nul\0", r"the name holds a NUL character"),
    ],
)
def test_a_place_that_can_be_none_is_one_message_and_nothing_is_written(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((WorkspaceError, StorageError), match=message):
        create_workspace(tmp_path / name)
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def of_modellab(tmp_path: Path) -> Path:
    """A workspace such as ModelLab leaves it: a soft prompt without a workflow, files in other words than ours."""
    folder = workspace_with(tmp_path / "theirs", "lora", model="microsoft/phi-silica-3.6").path
    project = folder / "microsoft_phi-silica-3.6_v1"
    shutil.rmtree(folder / ".tunelab")
    (folder / ".gitignore").unlink()
    (project / "lora" / "lora.yaml").write_bytes(b"\xef\xbb\xbflearning_rate: !!float 0.0003\r\nepochs: 2")
    (project / "lora" / "infra" / "model.json").unlink()
    (project / "lora" / "dataset").mkdir()
    (project / "lora" / "dataset" / "train.json").write_text('{"messages": []}\n')
    (project / "soft_prompt").mkdir()
    (project / "soft_prompt" / "soft_prompt.yaml").write_text("epochs: 1\n")
    (project / "empty").mkdir()
    return folder


def test_a_workspace_of_modellab_is_copied_byte_by_byte_and_what_it_lacks_is_added(
    tmp_path: Path, of_modellab: Path
) -> None:
    before = contents(of_modellab)
    new = create_workspace(tmp_path / "ours", of_modellab)
    after = contents(new.workspace.path, own=False)
    assert contents(of_modellab) == before
    assert before.items() <= after.items()
    assert new.num_copied == len(before)
    added = {".gitignore", "microsoft_phi-silica-3.6_v1/lora/infra/model.json"}
    assert after.keys() - before.keys() == added
    assert new.files == (".gitignore",)
    assert new.synced is not None
    assert {each.file.name: each.outcome for each in new.synced.files if each.outcome != "same"} == {
        "model.json": "added",
        "lora.yaml": "kept",
    }
    assert (new.workspace.path / "microsoft_phi-silica-3.6_v1" / "empty").is_dir()


def test_one_project_of_modellab_becomes_a_workspace_with_that_project(tmp_path: Path, of_modellab: Path) -> None:
    project = of_modellab / "microsoft_phi-silica-3.6_v1"
    new = create_workspace(tmp_path / "ours", project)
    assert contents(project).items() <= contents(new.workspace.path / project.name).items()
    assert [each.model_id for each in projects_of(new.workspace)] == ["microsoft/phi-silica-3.6"]


def test_a_workspace_of_modellab_is_completed_in_place(of_modellab: Path) -> None:
    before = contents(of_modellab)
    new = create_workspace(of_modellab, of_modellab)
    assert new.num_copied == 0
    assert before.items() <= contents(of_modellab).items()
    assert (of_modellab / "microsoft_phi-silica-3.6_v1/lora/infra/model.json").is_file()


def test_links_stay_links_and_what_cannot_be_copied_is_named(tmp_path: Path, of_modellab: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (of_modellab / "outside").symlink_to("../rows.jsonl")
    (of_modellab / "inside").symlink_to("microsoft_phi-silica-3.6_v1/lora")
    (of_modellab / "nowhere").symlink_to("gone")
    os.mkfifo(of_modellab / "pipe")
    (of_modellab / ".tunelab" / "job").mkdir(parents=True)
    (of_modellab / ".tunelab" / "jobs.db").touch()
    new = create_workspace(tmp_path / "far" / "ours", of_modellab)
    folder = new.workspace.path
    assert sorted(new.left_out) == [".tunelab/job", ".tunelab/jobs.db", "nowhere", "pipe"]
    assert (folder / "outside").is_symlink()
    assert (folder / "outside").read_text() == "{}\n"
    assert (folder / "inside").resolve() == folder / "microsoft_phi-silica-3.6_v1" / "lora"


def test_what_is_no_folder_of_modellab_is_refused_and_nothing_is_written(tmp_path: Path, of_modellab: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    for folder, source, message in (
        ("new", "gone", "there is no such folder"),
        ("new", "other", "this is no workspace and no project"),
        ("full", "theirs", "this folder is there already"),
        ("theirs/new", "theirs", "a workspace around it"),
    ):
        with pytest.raises(WorkspaceError, match=message):
            create_workspace(tmp_path / folder, tmp_path / source)
    assert sorted(tmp_path.rglob("*")) == before
    (of_modellab / "microsoft_phi-silica-3.6_v1" / "model_project.config").write_text("{")
    with pytest.raises(WorkspaceError, match=r"theirs/microsoft_phi-silica-3.6_v1/model_project.config:1: this is not"):
        create_workspace(tmp_path / "new", of_modellab)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk full"])
def test_a_copy_that_dies_anywhere_leaves_no_workspace_or_a_whole_one(
    tmp_path: Path, of_modellab: Path, full: bool
) -> None:
    with dying() as number:
        whole = create_workspace(tmp_path / "whole", of_modellab).workspace
    for at in range(1, number[0] + 1, 9):
        folder = tmp_path / "at"
        with suppress(Killed, StorageError), dying(at=at, full=full):
            create_workspace(folder, of_modellab)
        assert not folder.exists() or contents(folder) == contents(whole.path)
        if full:
            assert not list(tmp_path.glob(".at.*"))
        shutil.rmtree(folder, ignore_errors=True)
        with dying():
            create_workspace(folder, of_modellab)
        assert contents(folder) == contents(whole.path)
        assert not list(tmp_path.glob(".at.*"))
        shutil.rmtree(folder)


def test_projects_of_what_is_no_folder_are_none(tmp_path: Path) -> None:
    assert projects_of(Workspace(path=tmp_path / "gone")) == []


@pytest.mark.parametrize("inner", ["a", "a/b", "a/b/c"])
def test_a_workspace_around_one_that_lies_deeper_is_refused(tmp_path: Path, inner: str) -> None:
    create_workspace(tmp_path / "outer" / inner)
    with pytest.raises(WorkspaceError, match="a workspace inside it"):
        create_workspace(tmp_path / "outer")
