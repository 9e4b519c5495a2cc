"""A project has the files of ModelLab's, for every kind of adapter there is; what is there already stays as it is."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tunelab.adapters.kinds import KINDS
from tunelab.errors import StorageError, WorkspaceError
from tunelab.recipes import resolve_recipe
from tunelab.recipes.forms import form_text
from tunelab.workspace import Workspace
from tunelab.workspace.projects import METHODS, ModelEntry, add_model, create_workspace, read_catalogue
from workspace.workspace_files import LORA, Killed, contents, dying, workspace_with

PHI = "microsoft/phi-silica-3.6"
LORA_KEYS = """adam_beta1 adam_beta2 adam_epsilon early_stopping_patience epochs eval_accumulation_steps eval_delay
eval_steps evaluation_strategy save_dir finetune_dataset finetune_test_batch_size finetune_test_nsamples
finetune_test_seqlen finetune_train_batch_size finetune_train_nsamples finetune_train_seqlen gradient_accumulation_steps
gradient_checkpointing learning_rate lora_dropout lr_scheduler_type max_grad_norm model model_path num_training_steps
num_warmup_steps save_steps seed weight_decay compare_enabled compare_file compare_temperature skip_finetune
adapter_path"""
SOFT_PROMPT_KEYS = """model model_path save_dir finetune_dataset max_input_size init_prompt number_of_virtual_tokens
learning_rate early_stopping_patience epochs evaluation_strategy eval_steps save_steps seed finetune_train_nsamples
finetune_test_nsamples finetune_train_batch_size finetune_test_batch_size"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws").workspace


def keys_of(file: Path) -> set[str]:
    return set(re.findall(r"^(\w+):", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_a_project_of_phi_silica_has_the_files_of_modellab(workspace: Workspace) -> None:
    added = add_model(workspace, read_catalogue()[PHI])
    folder = workspace.path / "microsoft_phi-silica-3.6_v1"
    assert added.project.path == folder
    assert {name.removeprefix("lora/") for name in contents(folder) if name.startswith("lora/")} == {
        "lora.yaml",
        "lora.yaml.config",
        "infra/model.json",
        "infra/provision/finetuning.bicep",
        "infra/provision/finetuning.config.json",
        "infra/provision/finetuning.parameters.json",
    }
    assert keys_of(folder / "lora" / "lora.yaml") == set(LORA_KEYS.split())
    assert keys_of(folder / "soft_prompt" / "soft_prompt.yaml") == set(SOFT_PROMPT_KEYS.split())
    project = json.loads((folder / "model_project.config").read_text())
    assert project["modelInfo"] == {"id": PHI, "type": "finetuning", "version": 1}
    assert [(each["name"], each["file"], each["templateName"]) for each in project["workflows"]] == [
        ("LoRA", "lora/infra/provision/finetuning.config.json", "lora"),
        ("Soft Prompt", "soft_prompt/infra/provision/finetuning.config.json", "soft_prompt"),
    ]
    about = {"MODEL_NAME": "Phi Silica", "MODEL_VERSION": "3.6", "MODEL_HOST": "Microsoft"}
    assert json.loads((folder / "lora/infra/model.json").read_text()) == about


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_adapter_can_be_added_and_its_recipe_is_one(workspace: Workspace, method: str) -> None:
    added = add_model(workspace, read_catalogue()["nano"], [method])
    recipe = added.project.workflow(method).recipe_file
    resolved = resolve_recipe(recipe, environment=None)
    assert resolved.recipe.adapter.section == method
    assert resolved.recipe.model.base_model == "nano"
    assert resolved.anchored.data.train_files == ("dataset",)
    assert json.loads(recipe.with_name(f"{method}.yaml.config").read_text()) == json.loads(form_text(method))


@pytest.mark.parametrize("method", METHODS)
def test_a_job_in_the_cloud_returns_just_what_the_config_asks_for_and_takes_just_the_parameters(
    workspace: Workspace, method: str
) -> None:
    folder = add_model(workspace, read_catalogue()["nano"], [method]).project.path / method / "infra" / "provision"
    bicep = (folder / "finetuning.bicep").read_text()
    config = json.loads((folder / "finetuning.config.json").read_text())
    parameters = json.loads((folder / "finetuning.parameters.json").read_text())["parameters"]
    assert re.findall(r"^output (\w+) ", bicep, re.MULTILINE) == list(config)
    assert config["ARGS"] == [f"mount/<run_id>/{method}.yaml"]
    assert f"'mount/<run_id>/{method}.yaml'" in bicep
    declared = dict(re.findall(r"^param (\w+) \w+( = .+)?$", bicep, re.MULTILINE))
    assert parameters.keys() <= declared.keys()
    assert parameters["timeout"] == {"value": 21600}
    required = {name for name, default in declared.items() if not default}
    assert required == ({"timeout"} if method in ("lora", "soft_prompt") else {"timeout", "image"})
    assert required <= parameters.keys()
    assert "@" not in bicep.replace("@description", "").replace("@20", "")


def test_title_and_learning_rate_of_a_kind_are_those_of_its_workflow_and_recipe(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [replace(kind, title="New", learning_rate=0.5) if kind.section == "ia3" else kind for kind in KINDS]
    monkeypatch.setattr("tunelab.workspace.projects.template.KINDS", own)
    added = add_model(workspace, read_catalogue()["nano"], ["ia3"])
    recipe = added.project.workflow("New").recipe_file
    assert resolve_recipe(recipe, environment=None).recipe.training.learning_rate == 0.5


def test_a_hub_model_is_pinned_by_its_entry_and_an_own_model_is_found_from_the_recipe(workspace: Workspace) -> None:
    (workspace.path / "models.yaml").write_text(
        "my/own:\n  name: Own\n  base_model: ./weights\nmy/hub:\n  name: Hub\n  revision: abc123\n"
    )
    (workspace.path / "weights").mkdir()
    catalogue = read_catalogue(workspace)
    for method in ("lora", "ia3"):
        own = add_model(workspace, catalogue["my/own"], [method]).project.workflow(method).recipe_file
        base_model = resolve_recipe(own, environment=None).recipe.model.base_model
        assert (own.parent / base_model).resolve() == workspace.path / "weights"
        hub = add_model(workspace, catalogue["my/hub"], [method]).project.workflow(method).recipe_file
        model = resolve_recipe(hub, environment=None).recipe.model
        assert (model.base_model, model.revision) == ("my/hub", "abc123")


def test_a_method_is_added_to_a_project_without_touching_a_byte_of_what_is_there(workspace: Workspace) -> None:
    entry = read_catalogue()["nano"]
    project = add_model(workspace, entry, ["lora"]).project
    text = project.file.read_text().replace("LoRA", "My own name, ] and all").replace("\n", "\r\n")
    project.file.write_bytes(text.encode())
    (workspace.path / LORA).write_text("epochs: 3\n")
    before = contents(project.path)
    added = add_model(workspace, entry, ["ia3", "lora"])
    assert added.project.methods == ("lora", "ia3")
    after = contents(project.path)
    assert all(after[name] == text for name, text in before.items() if name != "model_project.config")
    start, end = text.split("\r\n  ],", 1)[0], text.rpartition("\r\n  ],")[2]
    assert after["model_project.config"].decode().startswith(start)
    assert after["model_project.config"].decode().endswith(end)
    again = add_model(workspace, entry, ["ia3", "lora"])
    assert again.files == ()
    assert contents(project.path) == after


@pytest.mark.parametrize(
    "text",
    [
        '{"workflows":[],"modelInfo":{"id":"nano"}}',
        '{"modelInfo": {"id": "nano"}, "workflows": [{"name": "X", "file": "x/y"}]}',
        '{\n\t"modelInfo": {"id": "nano"},\n\t"workflows": [\n\t\t{"name": "X", "file": "x/y"}\n\t]\n}',
    ],
)
def test_a_workflow_is_appended_in_any_layout_of_the_file(workspace: Workspace, text: str) -> None:
    folder = workspace.path / "nano_v1"
    folder.mkdir()
    (folder / "model_project.config").write_text(text)
    before = json.loads(text)
    project = add_model(workspace, read_catalogue()["nano"], ["lora"]).project
    after = json.loads(project.file.read_text())
    assert after["workflows"][:-1] == before["workflows"]
    assert after["workflows"][-1]["name"] == "LoRA"
    assert after["modelInfo"] == before["modelInfo"]


def entry(model_id: str) -> ModelEntry:
    return ModelEntry(id=model_id, name="A model")


def test_two_models_that_would_get_one_folder_are_refused_on_every_disk(workspace: Workspace) -> None:
    add_model(workspace, entry("a/b_c"), ["lora"])
    (workspace.path / "other_v1").mkdir()
    before = contents(workspace.path)
    for model_id, message in (
        ("a_b/c", r"a_b/c would get the folder a_b_c_v1, but a_b_c_v1 is the project of a/b_c.*models.yaml"),
        ("A/b_c", r"A/b_c would get the folder A_b_c_v1, but a_b_c_v1 is the project of a/b_c"),
        ("other", r"other would get the folder other_v1, but other_v1 is there, and no project"),
    ):
        with pytest.raises(WorkspaceError, match=message):
            add_model(workspace, entry(model_id), ["lora"])
    assert contents(workspace.path) == before


def test_a_method_that_the_model_cannot_be_trained_by_is_refused(workspace: Workspace) -> None:
    before = contents(workspace.path)
    with pytest.raises(WorkspaceError, match=r'--method: microsoft/phi-silica-3.6 cannot be trained by "full"'):
        add_model(workspace, read_catalogue()[PHI], ["lora", "full"])
    with pytest.raises(WorkspaceError, match=r'cannot be trained by "lroa". Did you mean "lora"'):
        add_model(workspace, read_catalogue()[PHI], ["lroa"])
    assert contents(workspace.path) == before


@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk full"])
@pytest.mark.parametrize("method", ["soft_prompt", "ia3"])
def test_an_add_that_dies_anywhere_leaves_a_workspace_that_the_next_one_completes(
    tmp_path: Path, method: str, full: bool
) -> None:
    entry = read_catalogue()["nano"]
    base = tmp_path / "base"
    if method == "ia3":  # to a project that is there
        workspace_with(base, "lora")
    else:
        create_workspace(base)
    for whole in copies(base, tmp_path, 1):
        with dying() as number:
            add_model(whole, entry, [method])
    for at, workspace in zip(range(1, number[0] + 1, 6), copies(base, tmp_path, number[0]), strict=False):
        with suppress(Killed, StorageError), dying(at=at, full=full):
            add_model(workspace, entry, [method])
        folder = workspace.path / "nano_v1"
        assert not folder.exists() or (folder / "model_project.config").is_file()
        with dying():
            add_model(workspace, entry, [method])
        assert contents(workspace.path) == contents(whole.path)


def copies(base: Path, folder: Path, count: int) -> Iterator[Workspace]:
    """Yield copies of a workspace."""
    for number in range(count):
        shutil.copytree(base, path := folder / f"{count}-{number}")
        yield Workspace(path=path)
