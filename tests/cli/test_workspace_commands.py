"""The commands of workspaces: what they print, how they end, and that a project that was added trains."""

import json
import os
from pathlib import Path

import pytest

from forked import Forker
from train_task import rows, write_lines
from tunelab.cli.main import run
from tunelab.recipes import resolve_recipe
from workspace.workspace_files import BICEP, LORA, began_as, contents, dying, workspace_with


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def inside(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a project, whose folder is the current one."""
    folder = workspace_with(here / "ws", "lora").path
    monkeypatch.chdir(folder)
    return folder


def test_from_nothing_to_a_project_in_two_commands(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "ws"]) == 0
    printed = capsys.readouterr().out
    assert "Workspace ws: wrote .gitignore, finetuning.workspace.config." in printed
    assert "Next: cd ws && " in printed
    monkeypatch.chdir(here / "ws")
    assert run(["add", "nano"]) == 0
    printed = capsys.readouterr().out
    assert "nano: wrote 13 files in nano_v1" in printed
    assert "train nano_v1/lora/lora.yaml" in printed
    (here / "ws" / "deep").mkdir()
    monkeypatch.chdir(here / "ws" / "deep")
    assert run(["add", "nano", "--method", "lora, soft_prompt"]) == 0
    assert "already; nothing was written" in capsys.readouterr().out
    assert run(["sync"]) == 0
    assert "12 files of projects are as their templates have them" in capsys.readouterr().out


def test_ia3_is_added_and_trains(
    here: Path, inside: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tunelab.flows.train import train
    from tunelab.workspace import find_workspace

    assert run(["add", "nano", "--method", "ia3"]) == 0
    recipe = inside / "nano_v1" / "ia3" / "ia3.yaml"
    dataset = recipe.parent / "dataset"
    dataset.mkdir()
    write_lines(dataset / "train.json", rows(24))
    write_lines(dataset / "test.json", rows(6, start=100))
    changes = [f"model.base_model={tiny_model}", "data.max_length=64", "checks.ignore={few_steps: a test}"]
    trained = train(resolve_recipe(recipe, overrides=changes), find_workspace(recipe.parent))
    assert trained.run.is_finished
    assert trained.run.path.parent == inside / "runs"
    assert json.loads((trained.run.adapter / "adapter_config.json").read_text())["peft_type"] == "IA3"


def test_models_are_listed_in_lines_and_as_json_inside_a_workspace_and_outside(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "weights", "licence", "where", "methods"]
    assert lines[1].split() == ["nano", "4M", "MIT", "local", "all"]
    assert "microsoft/phi-silica-3.6 cloud lora, soft_prompt" in {" ".join(line.split()) for line in lines}
    assert run(["models", "--json"]) == 0
    listed = {each["id"]: each for each in json.loads(capsys.readouterr().out)}
    assert listed["nano"]["parameters"] == 4_000_000
    assert listed["nano"]["base_model"] == "nano"
    assert listed["microsoft/phi-silica-3.6"]["places"] == ["cloud"]


def test_the_projects_of_a_workspace_are_listed_with_their_workflows(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inside / "models.yaml").write_text("my/model:\n  name: Mine\n  methods: [ia3]\n")
    assert run(["models"]) == 0
    assert "my/model" in capsys.readouterr().out
    assert run(["add", "my/model"]) == 0
    assert "Its weights come from the Hub when it is trained. Set model_revision" in capsys.readouterr().out
    assert run(["models", "--local"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == ["model folder workflows", "my/model my_model_v1 IA3", "nano nano_v1 LoRA"]
    assert run(["models", "--local", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1] == {
        "id": "nano",
        "folder": "nano_v1",
        "version": 1,
        "workflows": [{"name": "LoRA", "method": "lora"}],
    }


def test_a_model_of_a_cloud_is_added_with_a_word_on_it(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", "microsoft/phi-silica-3.6"]) == 0
    printed = capsys.readouterr().out
    assert "the weights of microsoft/phi-silica-3.6 are not public" in printed
    assert printed.strip().endswith("lora.yaml --set model.base_model=nano")


def test_sync_says_what_it_did_shows_conflicts_and_check_ends_with_1(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = (inside / LORA).read_bytes()
    began_as(inside, LORA, now.replace(b"seed: 42", b"seed: 1"))
    (inside / LORA).write_bytes(now.replace(b"seed: 42", b"seed: \x1b[31m7"))
    old = (inside / BICEP).read_bytes().replace(b"220Gi", b"110Gi")
    began_as(inside, BICEP, old)
    (inside / BICEP).write_bytes(old)
    before = contents(inside)
    assert run(["sync", "--check"]) == 1
    printed = capsys.readouterr().out
    assert f"available  {BICEP}: the template changed; take it over with --update" in printed
    assert "Nothing was changed. Do it with: " in printed
    assert contents(inside) == before
    assert run(["sync", "--update"]) == 0
    printed = capsys.readouterr().out
    assert f"conflict   {LORA}: both changed the same lines; yours is kept, the merge is lora.yaml.new" in printed
    assert f"updated    {BICEP}" in printed
    assert "-seed: [31m7\n+seed: 42\n" in printed
    assert run(["sync", "--update", "--check"]) == 0


def test_a_workspace_is_made_of_a_folder_of_modellab(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inside / LORA.parent / "infra" / "model.json").unlink()
    assert run(["new", "../ours", "--from", "."]) == 0
    printed = capsys.readouterr().out
    assert "from ., byte by byte." in printed
    assert "added      nano_v1/lora/infra/model.json" in printed
    assert run(["new", ".", "--from", "."]) == 0
    assert "is a workspace; nothing was written" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["add", "nano"], ["sync"], ["models", "--local"]], ids=" ".join)
def test_outside_a_workspace_a_command_names_the_one_that_makes_one(
    here: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("this is no workspace, and no folder above it is one. Make one with: tunelab new DIR")
    )
    assert os.listdir(here) == []


@pytest.mark.parametrize("words", [["new", "ws/deep/er"], ["add", "nano"], ["sync"]], ids=" ".join)
def test_a_folder_that_may_not_be_written_to_is_one_message(tmp_path: Path, forker: Forker, words: list[str]) -> None:
    folder = tmp_path / "ws"
    if words[0] == "new":
        folder.mkdir()
    else:
        (workspace_with(folder, "lora").path / LORA).unlink()
    before = contents(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = forker.run(*words, folder=tmp_path if words[0] == "new" else folder, without_privileges=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    assert done.code == 2
    assert "writing here is not permitted. Choose a folder you may write to." in done.err
    assert done.err.count("\n") == 1
    assert contents(folder) == before


@pytest.mark.parametrize("words", [["new", "deep/ws"], ["add", "nano", "--method", "ia3"], ["sync"]], ids=" ".join)
def test_a_full_disk_is_one_message(here: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words[0] != "new":
        folder = workspace_with(here / "ws", "lora").path
        (folder / LORA).unlink()
        os.chdir(folder)
    before = contents(here)
    with dying(at=1, full=True):
        assert run(words) == 2
    message = capsys.readouterr().err
    assert "the disk is full. Nothing that was complete was touched." in message
    assert message.count("\n") == 1
    after = contents(here)
    assert after.keys() - before.keys() <= {"ws/.tunelab/projects.lock"}
    assert before.items() <= after.items()
