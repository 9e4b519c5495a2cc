"""Projects follow their templates; what a person changed is never overwritten, and a killed sync is finished later."""

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from tunelab.errors import StorageError, WorkspaceError
from tunelab.workspace import OWN_FOLDER, Workspace
from tunelab.workspace.projects import Synced, add_model, create_workspace, read_catalogue, sync_projects
from tunelab.workspace.projects.stored import LOCK, STORED, writing
from workspace.workspace_files import BICEP, LORA, Killed, began_as, contents, dying, workspace_with


def outcomes(synced: Synced) -> dict[str, str]:
    return {each.file.as_posix(): each.outcome for each in synced.files if each.outcome != "same"}


def changed(folder: Path, file: Path, old: bytes, new: bytes) -> bytes:
    """Change a file of a project as a person would, and return what it was."""
    before = (folder / file).read_bytes()
    assert before.count(old) == 1
    (folder / file).write_bytes(before.replace(old, new))
    return before


def test_missing_files_are_added_and_a_second_sync_changes_nothing(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    before = contents(workspace.path)
    (workspace.path / LORA).unlink()
    shutil.rmtree(workspace.path / "nano_v1/lora/infra")
    assert set(outcomes(sync_projects(workspace)).values()) == {"added"}
    assert contents(workspace.path) == before
    assert outcomes(sync_projects(workspace)) == {}
    assert contents(workspace.path) == before


@pytest.mark.parametrize("update", [False, True])
def test_an_edit_is_never_overwritten(tmp_path: Path, update: bool) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    changed(workspace.path, LORA, b"epochs: 1", b"epochs: 3  # mine")
    before = contents(workspace.path)
    assert outcomes(sync_projects(workspace, update=update)) == {}
    assert contents(workspace.path) == before


def test_a_changed_template_is_taken_over_by_update_alone(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    now = (workspace.path / LORA).read_bytes()
    then = changed(workspace.path, LORA, b"seed: 42", b"seed: 1").replace(b"seed: 42", b"seed: 1")
    began_as(workspace.path, LORA, then)
    assert outcomes(sync_projects(workspace)) == {LORA.as_posix(): "available"}
    assert (workspace.path / LORA).read_bytes() == then
    assert outcomes(sync_projects(workspace, update=True)) == {LORA.as_posix(): "updated"}
    assert (workspace.path / LORA).read_bytes() == now
    assert outcomes(sync_projects(workspace, update=True)) == {}


def test_update_merges_changes_that_do_not_overlap_and_keeps_the_bytes_of_every_other_line(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    file = workspace.path / LORA
    now = file.read_bytes()
    began_as(workspace.path, LORA, now.replace(b"save_steps: 64", b"save_steps: 8"))
    yours = now.replace(b"save_steps: 64", b"save_steps: 8").replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    file.write_bytes(yours.replace(b"seed: 42", b"seed: 7   # mine"))
    assert outcomes(sync_projects(workspace)) == {LORA.as_posix(): "available"}
    assert outcomes(sync_projects(workspace, update=True)) == {LORA.as_posix(): "merged"}
    assert file.read_bytes() == yours.replace(b"save_steps: 8", b"save_steps: 64").replace(
        b"seed: 42", b"seed: 7   # mine"
    )
    assert outcomes(sync_projects(workspace, update=True)) == {}


@pytest.mark.parametrize("update", [False, True])
def test_a_conflict_leaves_yours_writes_the_merge_next_to_it_and_shows_the_difference(
    tmp_path: Path, update: bool
) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    file = workspace.path / LORA
    now = file.read_bytes()
    began_as(workspace.path, LORA, now.replace(b"seed: 42", b"seed: 1"))
    yours = now.replace(b"seed: 42", b"seed: 7").replace(b"epochs: 1", b"epochs: 2")
    file.write_bytes(yours)
    (conflict,) = sync_projects(workspace, update=update).changes
    assert conflict.outcome == "conflict"
    assert file.read_bytes() == yours
    assert file.with_name("lora.yaml.new").read_bytes() == now.replace(b"epochs: 1", b"epochs: 2")
    assert conflict.diff.splitlines()[-1:] != []
    assert {"-seed: 7", "+seed: 42"} <= set(conflict.diff.splitlines())
    before = contents(workspace.path)
    assert outcomes(sync_projects(workspace, update=update)) == {}
    assert contents(workspace.path) == before


def test_what_lies_next_to_a_file_already_is_not_overwritten(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    file = workspace.path / LORA
    began_as(workspace.path, LORA, file.read_bytes().replace(b"seed: 42", b"seed: 1"))
    changed(workspace.path, LORA, b"seed: 42", b"seed: 7")
    file.with_name("lora.yaml.new").write_text("of the last time")
    (conflict,) = sync_projects(workspace).changes
    assert conflict.target == file.with_name("lora.yaml.new2")
    assert file.with_name("lora.yaml.new").read_text() == "of the last time"


def test_a_merge_that_would_be_no_json_is_a_conflict(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    name = Path("nano_v1/lora/infra/provision/finetuning.config.json")
    now = (workspace.path / name).read_bytes()
    line = b'  "FILE_SHARE_NAME": null,\n'
    began_as(workspace.path, name, now.replace(line, b""))  # the template has got a key ...
    yours = now.replace(line, b"").replace(b'  "SUBSCRIPTION_ID": null,', b'  "FILE_SHARE_NAME": "share",')
    (workspace.path / name).write_bytes(yours)  # ... that you have written elsewhere
    (conflict,) = sync_projects(workspace, update=True).changes
    assert (conflict.outcome, conflict.content) == ("conflict", now)
    assert (workspace.path / name).read_bytes() == yours


def test_a_file_of_unknown_beginning_counts_as_yours(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    changed(workspace.path, LORA, b"epochs: 1", b"epochs: 3")
    shutil.rmtree(workspace.path / ".tunelab")
    before = contents(workspace.path)
    assert outcomes(sync_projects(workspace, update=True)) == {LORA.as_posix(): "kept"}
    assert before.items() <= contents(workspace.path).items()
    assert outcomes(sync_projects(workspace, update=True)) == {}


def test_a_link_stays_one(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    file, elsewhere = workspace.path / LORA, tmp_path / "shared.yaml"
    then = file.read_bytes().replace(b"seed: 42", b"seed: 1")
    elsewhere.write_bytes(then)
    file.unlink()
    file.symlink_to(elsewhere)
    began_as(workspace.path, LORA, then)
    assert outcomes(sync_projects(workspace, update=True)) == {LORA.as_posix(): "kept"}
    assert file.is_symlink()
    assert elsewhere.read_bytes() == then


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    folder, elsewhere = workspace.path / LORA.parent, tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    (elsewhere / LORA.name).unlink()
    before = contents(elsewhere)
    assert outcomes(sync_projects(workspace))[LORA.as_posix()] == "kept"
    copied = create_workspace(tmp_path / "copy", workspace.path).workspace
    add_model(copied, read_catalogue()["nano"], ["lora"])
    assert contents(elsewhere) == before


def test_a_link_that_leads_nowhere_stays_one(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    (workspace.path / LORA).unlink()
    (workspace.path / LORA).symlink_to(tmp_path / "later")
    sync_projects(workspace)
    add_model(workspace, read_catalogue()["nano"], ["lora"])
    assert (workspace.path / LORA).is_symlink()


@pytest.mark.parametrize("name", [OWN_FOLDER, LOCK, STORED])
def test_links_in_what_tunelab_keeps_are_refused(tmp_path: Path, name: str) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    own, elsewhere = workspace.path / name, tmp_path / "elsewhere"
    own.rename(elsewhere)
    own.symlink_to(elsewhere)
    if elsewhere.is_file():
        elsewhere.write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(WorkspaceError, match=f"{name}: this is a link"):
        sync_projects(workspace)
    with pytest.raises(WorkspaceError, match=f"{name}: this is a link"):
        add_model(workspace, read_catalogue()["nano"], ["soft_prompt"])
    assert contents(tmp_path) == before


def test_check_says_what_would_be_done_and_changes_nothing(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    began_as(workspace.path, BICEP, (workspace.path / BICEP).read_bytes().replace(b"220Gi", b"110Gi"))
    (workspace.path / BICEP).write_bytes((workspace.path / BICEP).read_bytes().replace(b"220Gi", b"110Gi"))
    (workspace.path / LORA).unlink()
    before = contents(workspace.path)
    planned = sync_projects(workspace, update=True, check=True)
    assert outcomes(planned) == {LORA.as_posix(): "added", BICEP.as_posix(): "updated"}
    assert contents(workspace.path) == before
    assert outcomes(sync_projects(workspace, update=True)) == outcomes(planned)


def test_projects_without_a_template_are_kept_and_named(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    project = workspace.path / "nano_v1/model_project.config"
    text = project.read_text()
    project.write_text(text.replace('"nano"', '"my/model"'))
    assert sync_projects(workspace).notes == ("nano_v1: the catalogue has no my/model; nothing to sync it with.",)
    project.write_text(text.replace('"version": 1\n', '"version": 7\n'))
    (note,) = sync_projects(workspace).notes
    assert "nano_v1 is version 7, and the template version 1: kept." in note
    project.write_text(text.replace('"lora/infra', '"own/infra'))
    (note,) = sync_projects(workspace).notes
    assert "the workflow LoRA has no template" in note
    project.write_text("{")
    with pytest.raises(WorkspaceError, match=r"model_project.config:1: this is not JSON"):
        sync_projects(workspace)


@pytest.fixture
def half_old(tmp_path: Path) -> Workspace:
    """A workspace with a missing file, one to merge, one in conflict and one to update."""
    workspace = workspace_with(tmp_path / "half_old", "lora")
    folder = workspace.path
    (folder / "nano_v1/lora/infra/model.json").unlink()
    for file, old in ((LORA, b"seed: 42"), (BICEP, b"220Gi")):
        began_as(folder, file, (folder / file).read_bytes().replace(old, b"then"))
    (folder / LORA).write_bytes((folder / LORA).read_bytes().replace(b"seed: 42", b"then").replace(b": 400", b": 4"))
    changed(folder, BICEP, b"220Gi", b"yours")
    parameters = Path("nano_v1/lora/infra/provision/finetuning.parameters.json")
    began_as(folder, parameters, changed(folder, parameters, b"21600", b"10800").replace(b"21600", b"10800"))
    return workspace


@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk full"])
def test_a_sync_that_dies_anywhere_leaves_each_file_old_or_new_and_the_next_one_finishes_it(
    tmp_path: Path, half_old: Workspace, full: bool
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(half_old.path, whole)
    with dying() as number:
        sync_projects(Workspace(path=whole), update=True)
    old, new = contents(half_old.path, own=False), contents(whole, own=False)
    assert len(new.items() - old.items()) == 4
    assert number[0] > 20
    for at in range(1, number[0] + 1, 4 if full else 1):
        workspace = Workspace(path=tmp_path / f"at-{at}")
        shutil.copytree(half_old.path, workspace.path)
        with suppress(Killed, StorageError), dying(at=at, full=full):
            sync_projects(workspace, update=True)
        left = contents(workspace.path, own=False)
        if full:
            assert not any(name.endswith(".tmp") for name in left)
        left = {name: text for name, text in left.items() if not name.endswith(".tmp")}
        assert old.keys() <= left.keys() <= new.keys()
        assert all(text in (old.get(name), new[name]) for name, text in left.items())
        with dying():
            sync_projects(workspace, update=True)
        assert contents(workspace.path) == contents(whole)


def test_a_workspace_without_projects_has_nothing_to_sync(tmp_path: Path) -> None:
    assert sync_projects(create_workspace(tmp_path / "ws").workspace) == Synced(files=(), notes=())


def test_two_processes_do_not_write_to_the_projects_of_a_workspace_at_once(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "lora")
    with (workspace.path / LOCK).open("w") as lock:
        with writing(workspace), pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
