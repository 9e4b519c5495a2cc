"""Runs are made in folders of their own, found again by any fair name, and held by one process at a time."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tunelab.errors import RunError
from tunelab.files import sha256_file, sha256_text, write_file
from tunelab.recipes import Recipe, to_yaml
from tunelab.registry import Manifest
from tunelab.workspace import MARKER, Run, Workspace, find_workspace, name_of_run


def _run(workspace: Workspace, name: str, recipe: str = "seed: 1\n") -> Run:
    run = workspace.new_run(name)
    write_file(run.recipe_file, recipe)
    os.utime(run.recipe_file, ns=(time.time_ns(), time.time_ns()))
    return run


def test_the_workspace_is_the_nearest_marked_folder_or_the_start_itself(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_workspace(inner).path == inner
    (tmp_path / MARKER).write_text("{}")
    assert find_workspace(inner).path == tmp_path
    (tmp_path / "a" / MARKER).write_text("{}")
    assert find_workspace(inner).path == tmp_path / "a"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tasks/taxonomy.yaml", "taxonomy"),
        ("Taxonomy Task/recipe.yaml", "taxonomy-task"),
        ("Ação É.yaml", "acao-e"),
        ("---.yaml", "run"),
        ("中文.yaml", "run"),
    ],
)
def test_a_run_is_named_after_its_recipe(tmp_path: Path, file: str, name: str) -> None:
    assert name_of_run(tmp_path / file) == name
    assert name_of_run(None) == "run"


def test_runs_made_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    workspace = Workspace(path=tmp_path)
    runs = [workspace.new_run("taxonomy") for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    assert all(run.path.parent == tmp_path / "runs" for run in runs)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "A", "x y"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="is no name"):
        Workspace(path=tmp_path).new_run(name)
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_recipe_is_no_run(tmp_path: Path) -> None:
    workspace = Workspace(path=tmp_path)
    assert workspace.runs() == []
    workspace.new_run("half")
    assert workspace.runs() == []
    run = _run(workspace, "whole")
    assert workspace.runs() == [run]


def test_a_run_is_found_by_folder_id_beginning_and_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(path=tmp_path)
    first, second, third = (_run(workspace, name) for name in ("zeta", "alpha", "alto"))
    assert workspace.find_run(first.id) == first
    assert workspace.find_run("zet") == first
    assert workspace.find_run("latest") == third
    assert workspace.find_run(str(second.path)) == second
    monkeypatch.chdir(tmp_path / "runs")
    assert workspace.find_run(f"./{second.id}") == second
    (tmp_path / "runs" / second.id).rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert workspace.find_run("moved").path == tmp_path / "moved"
    (tmp_path / "moved").rename(tmp_path / "runs" / second.id)
    for reference, words in [("al", [second.id, third.id]), ("zetta", [first.id]), ("./nothing", ["recipe.yaml"])]:
        with pytest.raises(RunError) as caught:
            workspace.find_run(reference)
        assert all(word in str(caught.value) for word in words)
    with pytest.raises(RunError, match="no run here yet"):
        Workspace(path=tmp_path / "empty").find_run("latest")


def test_the_latest_run_of_the_same_recipe_is_found_again(tmp_path: Path) -> None:
    workspace = Workspace(path=tmp_path)
    data = {"data_dir": str(tmp_path), "train_files": ["a.jsonl"]}
    one, two = (Recipe.model_validate({"data": data, "training": {"seed": seed}}) for seed in (1, 2))
    assert workspace.latest_of(one) is None
    written = f"data: {{{{data_dir: {tmp_path}, train_files: a.jsonl}}}}\ntraining:\n  seed: {{}}\n"
    older, newer, other = (_run(workspace, name, written.format(seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert workspace.latest_of(one) == newer
    assert older != newer
    assert workspace.latest_of(one, output_dir=other.path) is None
    assert workspace.latest_of(two, output_dir=other.path) == other


def test_a_run_is_found_by_its_recipe_whatever_its_folder_and_however_short_the_recipe_was_written(
    tmp_path: Path,
) -> None:
    workspace = Workspace(path=tmp_path)
    data = {"data_dir": str(tmp_path), "train_files": ["a.jsonl"]}
    recipe = Recipe.model_validate({"training": {"output_dir": "/elsewhere"}, "data": data | {"max_length": 64}})
    text = to_yaml(recipe)
    older = text.replace("eval_max_length: 64", "eval_max_length: null").replace("  logging_steps: 1\n", "")
    assert older != text
    run = _run(workspace, "a", older)
    _run(workspace, "damaged", "training: [")
    assert workspace.latest_of(Recipe.model_validate({"data": data | {"max_length": 64}})) == run
    assert workspace.latest_of(Recipe.model_validate({"data": data})) is None


def test_a_chosen_folder_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    workspace = Workspace(path=tmp_path)
    run = workspace.new_run("x", output_dir=tmp_path / "out")
    assert run.path == tmp_path / "out"
    assert workspace.new_run("x", output_dir=tmp_path / "out") == run
    write_file(run.recipe_file, "seed: 1\n")
    with pytest.raises(RunError, match=r"that is unfinished.*--resume"):
        workspace.new_run("x", output_dir=tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(RunError, match="not an empty folder"):
        workspace.new_run("x", output_dir=tmp_path / "mine")


def test_the_manifest_names_every_file_of_the_adapter_with_its_hash(tmp_path: Path) -> None:
    run = _run(Workspace(path=tmp_path), "x")
    (run.adapter / "deep").mkdir(parents=True)
    (run.adapter / "adapter_config.json").write_text("{}")
    (run.adapter / "deep" / "w.safetensors").write_bytes(b"\x00\x01")
    assert not run.is_finished
    manifest = Manifest(base_model="nano", template_sha256="ab", rendered_on=date(2026, 1, 2), held_out_loss=1.5)
    run.write_manifest(manifest)
    assert run.is_finished
    written = json.loads(run.manifest_file.read_text())
    assert (written["held_out_loss"], written["run_id"]) == (1.5, run.id)
    assert written["files"] == {
        "adapter_config.json": sha256_text("{}"),
        "deep/w.safetensors": sha256_file(run.adapter / "deep" / "w.safetensors"),
    }
    assert run.read_manifest() == replace(manifest, run_id=run.id, files=written["files"])


HOLDER = """
import sys, time
from pathlib import Path
from tunelab.workspace import Run
with Run(path=Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_in_use_by_another_process_is_refused_at_once_and_free_when_that_is_killed(tmp_path: Path) -> None:
    run = _run(Workspace(path=tmp_path), "x")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {holder.pid}"), run.locked():
            pass
        with pytest.raises(RunError, match=f"is in use by process {holder.pid}. Choose another folder.$"):
            Workspace(path=tmp_path).new_run("x", output_dir=run.path)
        holder.kill()
        holder.wait()
    with run.locked():
        assert (run.path / ".lock").read_text() == str(os.getpid())
