"""A recipe with a form next to it keeps to it: what is outside is refused with the lines of both files, all at once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tunelab.cli.main import run
from tunelab.errors import RecipeError
from tunelab.recipes import ResolvedRecipe, resolve_recipe
from tunelab.recipes.forms import form_of, form_text

LORA = """\
model: nano
finetune_dataset: data
save_dir: mount/<run_id>/save_dir
finetune_train_nsamples: 8000
finetune_test_nsamples: 128
finetune_train_batch_size: 2
finetune_test_batch_size: 8
finetune_train_seqlen: 1024
finetune_test_seqlen: 2048
epochs: 1
eval_steps: 64
save_steps: 64
learning_rate: !!float 0.0002
lr_scheduler_type: linear_with_warmup
num_warmup_steps: 400
lora_dropout: !!float 0.1
gradient_accumulation_steps: 1
weight_decay: 0
adam_beta1: !!float 0.9
adam_beta2: !!float 0.95
adam_epsilon: !!float 1E-08
max_grad_norm: 1
eval_delay: 0
seed: 42
compare_enabled: false
compare_temperature: 0.9
"""


def _resolved(
    folder: Path, text: str, form: str | None = None, name: str = "lora.yaml", **options: Any
) -> ResolvedRecipe:
    (folder / name).write_text(text)
    (folder / f"{name}.config").write_text(form_text("lora") if form is None else form)
    return resolve_recipe(folder / name, environment={}, **options)


def _form(*fields: dict[str, Any], toggle: str = "") -> str:
    return json.dumps([{"groupId": "data", "togglePath": toggle, "fields": fields}], indent=1)


def _line(form: str, key: str, limit: str) -> int:
    """Return the line of a limit of a key in a form, by search."""
    after = form.partition(f'"id": "{key}"')
    return form.count("\n", 0, form.index(f'"{limit}"', len(after[0]))) + 1


def test_the_template_keeps_to_its_form(tmp_path: Path) -> None:
    resolved = _resolved(tmp_path, LORA)
    assert resolved.recipe.training.learning_rate == 2e-4
    assert not any("lora.yaml.config" in note for note in resolved.notes)


def test_a_value_outside_its_form_is_refused_with_the_lines_of_both(tmp_path: Path) -> None:
    form = form_text("lora")
    with pytest.raises(RecipeError) as caught:
        _resolved(tmp_path, LORA.replace("0.0002", "0.05"))
    place = f"lora.yaml.config:{_line(form, 'learning_rate', 'max')}"
    message = f"{tmp_path}/lora.yaml:13: learning_rate 0.05 is above 0.01 ({place}). Change the value or the form."
    assert str(caught.value) == message


def test_all_values_outside_the_form_are_said_at_once(tmp_path: Path) -> None:
    text = LORA.replace("0.0002", "1e-5").replace("linear_with_warmup", "constant").replace("epochs: 1", "epochs: 101")
    with pytest.raises(RecipeError) as caught:
        _resolved(tmp_path, text.replace("seed: 42\n", ""))
    said = str(caught.value)
    assert "the recipe has 4 faults" in said
    for fault in (
        "lora.yaml:10: epochs 101 is above 100 (lora.yaml.config:",
        "lora.yaml:13: learning_rate 1e-05 is below 0.0001 (lora.yaml.config:",
        'lora.yaml:14: lr_scheduler_type "constant" is none of linear, linear_with_warmup, cosine, cosine_with_warmup',
        "lora.yaml: seed is not set, and required (lora.yaml.config:",
    ):
        assert fault in said


@pytest.mark.parametrize("verb", [["recipe", "explain"], ["check"], ["train"]])
def test_every_verb_that_reads_a_recipe_holds_it_against_its_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    (tmp_path / "lora.yaml").write_text(LORA.replace("0.0002", "0.05"))
    (tmp_path / "lora.yaml.config").write_text(form_text("lora"))
    assert run([*verb, str(tmp_path / "lora.yaml")]) == 2
    assert "lora.yaml:13: learning_rate 0.05 is above 0.01 (lora.yaml.config:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ({"id": "epochs", "type": "Number", "min": 2}, "1", "epochs 1 is below 2"),
        ({"id": "epochs", "type": "Number", "max": 2}, "2.5", "epochs 2.5 is above 2"),
        ({"id": "epochs", "type": "Integer"}, "2.5", "epochs is 2.5, not a whole number"),
        ({"id": "epochs", "type": "Integer"}, "2.0", ""),
        ({"id": "epochs", "type": "Integer", "max": 9}, "1" + "0" * 400, "epochs 1000"),
        ({"id": "epochs", "type": "Number"}, "yes", 'epochs is "yes", not a number'),
        ({"id": "epochs", "type": "Number"}, "true", "epochs is true, not a number"),
        ({"id": "epochs", "type": "Boolean"}, "1", "epochs is 1, not true or false"),
        ({"id": "epochs", "type": "String"}, "1", "epochs is 1, not text"),
        ({"id": "epochs", "type": "Integer", "optionValues": [2, 4]}, "1", "epochs 1 is none of 2, 4"),
        ({"id": "epochs", "type": "Integer", "optionValues": [1, 2]}, "true", "epochs true is none of 1, 2"),
        ({"id": "epochs", "type": "Integer", "optionValues": [1, 2]}, "1", ""),
        ({"id": "epochs", "type": "Integer", "min": 2, "isArray": True}, "[3, 1]", "epochs 1 is below 2"),
        ({"replaceToken": "epochs", "type": "Number", "min": 2}, "1", "epochs 1 is below 2"),
        ({"replaceToken": "<epochs>", "type": "Number", "min": 2}, "1", "epochs 1 is below 2"),
        ({"replaceToken": "<n>", "type": "Number"}, "<n>", "epochs is still the placeholder <n>"),
        ({"id": "epochs", "type": "Number", "required": True, "defaultValue": 1}, "null", "epochs is not set, and"),
        ({"id": "epochs", "type": "Number", "required": True, "defaultValue": None}, "null", ""),
        ({"id": "epochs", "type": "Number", "min": 2}, "null", ""),
        ({"id": "epoch", "type": "Number", "min": 2}, "1", ""),
        ({"type": "String", "fileName": "train.json", "required": True, "defaultValue": ""}, "1", ""),
    ],
)
def test_each_limit_of_a_field_is_enforced(tmp_path: Path, field: dict[str, Any], value: str, fault: str) -> None:
    text = f"model: nano\nfinetune_dataset: data\nepochs: {value}\n"
    if not fault:
        assert _resolved(tmp_path, text, _form(field)).recipe.model.base_model == "nano"
        return
    with pytest.raises(RecipeError) as caught:
        _resolved(tmp_path, text, _form(field))
    assert f"lora.yaml:3: {fault}" in str(caught.value)


@pytest.mark.parametrize(("switch", "is_refused"), [("true", True), ("false", False), ("null", False), (None, False)])
def test_a_group_that_is_switched_off_is_not_enforced(tmp_path: Path, switch: str | None, is_refused: bool) -> None:
    text = "model: nano\nfinetune_dataset: data\ncompare_temperature: 1.9\n"
    text += f"compare_enabled: {switch}\n" if switch else ""
    form = _form({"id": "compare_temperature", "type": "Number", "max": 1}, toggle="compare_enabled")
    if is_refused:
        with pytest.raises(RecipeError, match=r"lora\.yaml:3: compare_temperature 1\.9 is above 1"):
            _resolved(tmp_path, text, form)
    else:
        assert _resolved(tmp_path, text, form).recipe.evaluation.temperature == 1.9


def test_a_recipe_with_sections_keeps_to_a_form_with_dotted_keys(tmp_path: Path) -> None:
    text = "data: {train_files: a.jsonl}\nprefix_tuning:\n  number_of_virtual_tokens: 5000\n"
    with pytest.raises(RecipeError) as caught:
        _resolved(tmp_path, text, form_text("prefix_tuning"), "prefix_tuning.yaml")
    fault = (
        "prefix_tuning.yaml:3: prefix_tuning.number_of_virtual_tokens 5000 is above 4096 (prefix_tuning.yaml.config:"
    )
    assert fault in str(caught.value)
    good = text.replace("5000", "5") + "training:\n  num_warmup_steps: 0.1\n"
    resolved = _resolved(tmp_path, good, form_text("prefix_tuning"), "prefix_tuning.yaml")
    assert resolved.recipe.training.num_warmup_steps == 0.1


def test_the_form_of_every_method_lets_its_own_defaults_through(tmp_path: Path) -> None:
    for method in ("qlora", "prefix_tuning", "ia3", "full"):
        tree: dict[str, Any] = {}
        for field in form_of(method).fields():
            *sections, name = field.id.split(".")
            home = tree
            for section in sections:
                home = home.setdefault(section, {})
            home[name] = field.default
        tree["data"]["train_files"] = ["a.jsonl"]
        resolved = _resolved(tmp_path, json.dumps(tree), form_text(method), f"{method}.yaml")
        assert resolved.recipe.adapter.section == method
        assert not any(".config" in note for note in resolved.notes)


@pytest.mark.parametrize("source", ["--set", "environment LLM_TRAINING__LEARNING_RATE", ".env:2"])
def test_a_value_from_outside_the_file_is_held_against_the_form_and_named_by_its_source(
    tmp_path: Path, source: str
) -> None:
    (tmp_path / "lora.yaml").write_text(LORA)
    (tmp_path / "lora.yaml.config").write_text(form_text("lora"))
    if source == ".env:2":
        (tmp_path / ".env").write_text("# mine\nLLM_TRAINING__LEARNING_RATE=0.5\n")
    with pytest.raises(RecipeError) as caught:
        resolve_recipe(
            tmp_path / "lora.yaml",
            overrides=["training.learning_rate=0.5"] if source == "--set" else (),
            environment={"LLM_TRAINING__LEARNING_RATE": "0.5"} if source.startswith("environment") else {},
        )
    place = f"lora.yaml.config:{_line(form_text('lora'), 'learning_rate', 'max')}"
    assert str(caught.value) == f"{source}: learning_rate 0.5 is above 0.01 ({place}). Change the value or the form."


@pytest.mark.parametrize(
    ("old", "new", "override"),
    [
        ("0.0002", "0.5", "training.learning_rate=0.001"),
        ("seed: 42\n", "", "training.seed=7"),
        ("eval_delay: 0\n", "eval_delay: 0\neval_strategy: no_such\n", "training.eval_strategy=no"),
    ],
)
def test_a_value_of_the_file_that_is_not_used_is_not_held_against_the_form(
    tmp_path: Path, old: str, new: str, override: str
) -> None:
    key, _, value = override.partition("=")
    resolved = _resolved(tmp_path, LORA.replace(old, new), overrides=[override])
    assert str(getattr(resolved.recipe.training, key.rpartition(".")[2])) == value


def test_a_group_is_on_if_the_value_that_is_used_switches_it_on(tmp_path: Path) -> None:
    text = "model: nano\nfinetune_dataset: data\ncompare_enabled: false\ncompare_temperature: 1.9\n"
    form = _form({"id": "compare_temperature", "type": "Number", "max": 1}, toggle="compare_enabled")
    with pytest.raises(RecipeError, match=r"lora\.yaml:4: compare_temperature 1\.9 is above 1"):
        _resolved(tmp_path, text, form, overrides=["evaluation.compare=true"])
    text = text.replace("enabled: false", "enabled: true")
    assert not _resolved(tmp_path, text, form, overrides=["evaluation.compare=false"]).recipe.evaluation.compare


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("lora.yaml", "data: {train_files: a.jsonl, max_length: 9}\nlora: {r: 4, lora_alpha: 8}\n", "lora.r"),
        ("mine.yaml", "model_name: nano\nlora_config: {r: 4, lora_alpha: 8}\n", "lora_config.r"),
    ],
)
def test_recipes_of_every_dialect_hold_overrides_against_a_form_of_their_own_keys(
    tmp_path: Path, name: str, text: str, key: str
) -> None:
    form = _form({"id": key, "type": "Integer", "max": 6})
    with pytest.raises(RecipeError, match=f"--set: {key} 7 is above 6"):
        _resolved(tmp_path, text, form, name, overrides=["lora.r=7"])
    assert _resolved(tmp_path, text.replace("r: 4", "r: 40"), form, name, overrides=["lora.r=5"])


def test_without_a_form_next_to_it_a_file_of_modellab_is_held_against_modellabs_own_and_used(tmp_path: Path) -> None:
    (tmp_path / "lora.yaml").write_text("finetune_dataset: a\nlearning_rate: 0.05\nlr_scheduler_type: constant\n")
    resolved = resolve_recipe(tmp_path / "lora.yaml", environment={})
    assert resolved.recipe.training.learning_rate == 0.05
    notes = "\n".join(resolved.notes)
    assert "lora.yaml:2: learning_rate 0.05 is above 0.01 (ModelLab's own form), and is used." in notes
    assert 'lora.yaml:3: lr_scheduler_type "constant" is none of' in notes
    overridden = resolve_recipe(tmp_path / "lora.yaml", overrides=["training.learning_rate=0.001"], environment={})
    assert "learning_rate 0.05" not in "\n".join(overridden.notes)
    assert "learning_rate 0.001" not in "\n".join(overridden.notes)
    high = resolve_recipe(tmp_path / "lora.yaml", overrides=["training.learning_rate=0.02"], environment={})
    assert "--set: learning_rate 0.02 is above 0.01 (ModelLab's own form), and is used." in high.notes


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_form_that_is_no_file_is_refused_instead_of_passed_over(tmp_path: Path, kind: str) -> None:
    (tmp_path / "lora.yaml").write_text(LORA)
    form = tmp_path / "lora.yaml.config"
    {"link": lambda: form.symlink_to("nowhere"), "folder": form.mkdir, "pipe": lambda: os.mkfifo(form)}[kind]()
    with pytest.raises(RecipeError, match=r"lora\.yaml\.config: the form cannot be read"):
        resolve_recipe(tmp_path / "lora.yaml", environment={})
