"""A project is read from the file that ModelLab writes, and found by its model; what is damaged is named."""

import json
from pathlib import Path

import pytest

from tunelab.errors import WorkspaceError
from tunelab.workspace import Workspace
from tunelab.workspace.projects import PROJECT_FILE, find_project, projects_of

PHI = "microsoft/phi-silica-3.6"


def written(*methods: tuple[str, str], model_id: str = PHI, version: int = 1) -> str:
    workflows = [
        {
            "name": name,
            "description": "",
            "file": f"{method}/infra/provision/finetuning.config.json",
            "template": f"finetuning_configs/{model_id}",
            "version": 1,
            "templateName": method,
        }
        for name, method in methods
    ]
    return json.dumps({"workflows": workflows, "modelInfo": {"id": model_id, "type": "finetuning", "version": version}})


def project_folder(workspace: Path, name: str, text: str) -> Path:
    folder = workspace / name
    folder.mkdir()
    (folder / PROJECT_FILE).write_text(text, encoding="utf-8")
    return folder


def test_a_project_is_found_by_its_model_and_its_workflow_by_name_or_method(tmp_path: Path) -> None:
    folder = project_folder(tmp_path, "phi", "\ufeff" + written(("LoRA", "lora"), ("Soft Prompt", "soft_prompt")))
    project = find_project(Workspace(path=tmp_path), PHI)
    assert (project.path, project.model_id, project.version) == (folder, PHI, 1)
    assert project.methods == ("lora", "soft_prompt")
    assert project.workflow("LoRA").recipe_file == folder / "lora" / "lora.yaml"
    assert project.workflow("soft prompt") == project.workflow("soft_prompt")
    with pytest.raises(WorkspaceError, match=r'no workflow "LoAR".*Did you mean "LoRA"'):
        project.workflow("LoAR")


def test_of_several_versions_of_a_project_the_newest_is_found(tmp_path: Path) -> None:
    project_folder(tmp_path, "m_v1", written(("LoRA", "lora")))
    newest = project_folder(tmp_path, "m_v2", written(("LoRA", "lora"), version=2))
    workspace = Workspace(path=tmp_path)
    assert find_project(workspace, PHI).path == newest
    assert [project.version for project in projects_of(workspace)] == [1, 2]


def test_a_model_without_a_project_is_answered_with_those_that_have_one_and_the_command_that_adds_it(
    tmp_path: Path,
) -> None:
    workspace = Workspace(path=tmp_path)
    with pytest.raises(WorkspaceError, match="tunelab add nano"):
        find_project(workspace, "nano")
    project_folder(tmp_path, "phi", written(("LoRA", "lora")))
    with pytest.raises(WorkspaceError, match=f'Did you mean "{PHI}"'):
        find_project(workspace, "microsoft/phi-silica")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", r"model_project.config:2: this is not JSON"),
        ("[]", "describes no project"),
        ('{"workflows": 3, "modelInfo": {"id": "m"}}', r"describes no project.*workflows"),
        ('{"workflows": [{"name": "LoRA"}], "modelInfo": {"id": "m"}}', r"describes no project.*file"),
        ("[" * 100_000, "describes no project"),
        (written(("LoRA", "..")), "in a folder of the project"),
        (written(("LoRA", "/etc")), "in a folder of the project"),
        (written(("LoRA", "")), "in a folder of the project"),
        (written(("LoRA", "lo\0ra")), "in a folder of the project"),
    ],
)
def test_a_damaged_project_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    project_folder(tmp_path, "phi", text)
    with pytest.raises(WorkspaceError, match=f"(?s)phi.model_project.config.*{message.split(':')[-1]}"):
        projects_of(Workspace(path=tmp_path))
