"""What is odd in ModelLab's own files is said as a note or a finding, and none of it is a crash or a broken recipe."""

import json
from pathlib import Path

import pytest

from flows_files import rows, write_rows
from tunelab.flows.check import CheckResult, check_data_or_recipe
from tunelab.recipes import ResolvedRecipe, resolve_recipe
from tunelab.recipes.forms import form_text

SOFT_PROMPT = "model: nano\nfinetune_dataset: dataset\nlearning_rate: !!float 3e-05\n"
LORA = """\
model: nano
finetune_dataset: dataset
finetune_train_nsamples: 8000
finetune_test_nsamples: 128
finetune_train_batch_size: 2
lr_scheduler_type: "linear_with_warmup"
num_warmup_steps: 400
evaluation_strategy: "steps"
eval_steps: 64
save_steps: 100
varied_seqlen: true
"""


def _resolved(folder: Path, text: str, method: str = "lora") -> ResolvedRecipe:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{method}.yaml").write_text(text)
    return resolve_recipe(folder / f"{method}.yaml", environment={})


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> CheckResult:
    """A project of 300 rows, as ModelLab's template trains them."""
    folder = tmp_path_factory.mktemp("lora")
    write_rows(folder / "dataset" / "train.json", rows(300))
    write_rows(folder / "dataset" / "test.json", rows(20, word="other"))
    (folder / "lora.yaml").write_text(LORA)
    return check_data_or_recipe(str(folder / "lora.yaml"), environment={})


def test_a_default_that_breaks_its_own_form_is_used_and_said_until_something_else_is_set(tmp_path: Path) -> None:
    form = form_text("soft_prompt")
    (tmp_path / "soft_prompt.yaml.config").write_text(form)
    resolved = _resolved(tmp_path, SOFT_PROMPT, "soft_prompt")
    assert resolved.recipe.training.learning_rate == 3e-5
    line = form.count("\n", 0, form.index('"min": 0.0001')) + 1
    place = f"soft_prompt.yaml.config:{line}"
    fault = f"soft_prompt.yaml:3: learning_rate 3e-05 is below 0.0001 ({place}), and is the form's own default"
    assert any(fault in note for note in resolved.notes)
    overridden = resolve_recipe(
        tmp_path / "soft_prompt.yaml", overrides=["training.learning_rate=0.001"], environment={}
    )
    assert not any("own default" in note for note in overridden.notes)


def test_fields_with_an_id_a_token_or_neither_are_one_form(tmp_path: Path) -> None:
    fields = [
        {"type": "String", "fileName": "train.json", "required": True, "defaultValue": ""},
        {"type": "Integer", "replaceToken": "finetune_train_seqlen", "required": True, "defaultValue": 1024},
        {"type": "Number", "id": "epochs", "min": 1, "max": 100},
    ]
    (tmp_path / "lora.yaml.config").write_text(json.dumps([{"groupId": "data", "fields": fields}]))
    resolved = _resolved(tmp_path, "model: nano\nfinetune_dataset: a\nfinetune_train_seqlen: 512\nepochs: 2\n")
    assert resolved.recipe.data.max_length == 512


def test_a_method_that_its_project_does_not_list_is_said(tmp_path: Path) -> None:
    listed = {"name": "LoRA", "file": "lora/infra/provision/finetuning.config.json", "templateName": "lora"}
    (tmp_path / "model_project.config").write_text(json.dumps({"workflows": [listed]}))
    resolved = _resolved(tmp_path / "soft_prompt", SOFT_PROMPT, "soft_prompt")
    assert any("model_project.config lists no workflow for soft_prompt" in note for note in resolved.notes)
    assert resolved.recipe.soft_prompt is not None
    assert not any("lists no workflow" in note for note in _resolved(tmp_path / "lora", LORA).notes)
    for broken in ("", "[]", '{"workflows": 3}', '{"workflows": [3]}', "{"):
        (tmp_path / "model_project.config").write_text(broken)
        assert not any("lists no workflow" in note for note in _resolved(tmp_path / "lora", LORA).notes)


def test_where_documents_and_template_disagree_the_documents_count_and_it_is_said(tmp_path: Path) -> None:
    notes = "\n".join(_resolved(tmp_path, "model: nano\nfinetune_dataset: a\n").notes)
    for key, documents, template in (
        ("finetune_train_nsamples", 4096, 8000),
        ("finetune_train_batch_size", 4, 2),
        ("finetune_train_seqlen", 2048, 1024),
        ("lr_scheduler_type", "linear", "linear_with_warmup"),
    ):
        assert f"{key} is not set: ModelLab's documents say {documents}, its template says {template}" in notes


def test_json_lines_under_a_name_for_json_are_read(checked: CheckResult) -> None:
    assert checked.planned is not None
    assert checked.planned.total_steps == 150


def test_save_steps_that_are_no_multiple_of_eval_steps_are_found(checked: CheckResult) -> None:
    assert "save_steps_not_multiple" in checked.findings.codes()


def test_a_warm_up_longer_than_the_run_is_found(checked: CheckResult) -> None:
    (finding,) = [each for each in checked.findings if each.code == "warmup_longer_than_run"]
    assert "400 steps" in finding.summary


def test_more_samples_than_there_are_rows_are_said(checked: CheckResult) -> None:
    (finding,) = [each for each in checked.findings if each.code == "samples_above_rows"]
    assert finding.severity == "note"
    assert "8,000" in finding.summary
    assert "300 training rows" in finding.summary


def test_both_names_of_the_evaluation_strategy_are_read(tmp_path: Path) -> None:
    (tmp_path / "lora.yaml.config").write_text(
        json.dumps([{"groupId": "advanced", "fields": [{"type": "String", "id": "evaluation_strategy"}]}])
    )
    for key in ("evaluation_strategy", "eval_strategy"):
        resolved = _resolved(tmp_path, f"model: nano\nfinetune_dataset: a\n{key}: epoch\n")
        assert resolved.recipe.training.eval_strategy == "epoch"


def test_the_newest_template_is_read_but_code_of_a_model_is_never_run(tmp_path: Path) -> None:
    text = "model: Aion-1.1\nmodel_path: /no/model\nfinetune_dataset: mount/<run_id>/dataset\ntrust_remote_code: true\n"
    notes = "\n".join(_resolved(tmp_path, text).notes)
    assert "lora.yaml:4: trust_remote_code is left out: code of a model is never run." in notes
    assert "lora.yaml:1: Aion-1.1 is not public. Name a model you have" in notes
