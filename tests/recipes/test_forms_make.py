"""A form is made from the settings themselves, and every kind of adapter has one."""

import json

import pytest

from tunelab.adapters.kinds import KINDS
from tunelab.errors import RecipeError
from tunelab.recipes.dialects.modellab import KEYS
from tunelab.recipes.forms import Field, form_of, form_text
from tunelab.recipes.forms.flat import FIELDS as FLAT_FIELDS
from tunelab.recipes.forms.flat import GROUPS
from tunelab.recipes.forms.make_form import _field, _schemas
from tunelab.recipes.keys import kinds
from tunelab.recipes.recipe import FIELDS
from tunelab.settings import marks_of, meaning_of

METHODS = [kind.section for kind in KINDS]
SECTIONED = [method for method in METHODS if method not in GROUPS]

LORA_TEMPLATE = {
    "finetune_train_nsamples": 8000,
    "finetune_test_nsamples": 128,
    "finetune_train_batch_size": 2,
    "finetune_test_batch_size": 8,
    "finetune_train_seqlen": 1024,
    "finetune_test_seqlen": 2048,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-8,
    "early_stopping_patience": 5,
    "epochs": 1,
    "eval_accumulation_steps": None,
    "eval_delay": 0,
    "eval_steps": 64,
    "evaluation_strategy": "steps",
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": False,
    "learning_rate": 2e-4,
    "lora_dropout": 0.1,
    "lr_scheduler_type": "linear_with_warmup",
    "max_grad_norm": 1,
    "num_training_steps": None,
    "num_warmup_steps": 400,
    "save_steps": 64,
    "seed": 42,
    "weight_decay": 0,
    "compare_file": "",
    "compare_temperature": 0.9,
}
RANGES = {
    "epochs": (1, 100),
    "early_stopping_patience": (1, 100),
    "gradient_accumulation_steps": (1, 128),
    "weight_decay": (0, 1),
    "lora_dropout": (0, 0.5),
    "learning_rate": (1e-4, 1e-2),
    "adam_beta1": (0.9, 0.99),
    "adam_beta2": (0.9, 0.999),
    "adam_epsilon": (1e-9, 1e-6),
    "num_warmup_steps": (0, 10_000),
    "compare_temperature": (0, 2),
}


def _fields(method: str) -> dict[str, Field]:
    return {field.key: field for field in form_of(method).fields() if field.key}


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_adapter_has_a_form_that_is_an_array_of_groups(method: str) -> None:
    groups = json.loads(form_text(method))
    assert [group["groupId"] for group in groups][:3] == ["data", "finetuning", "advanced"]
    assert all(group["title"] and group["fields"] for group in groups)
    for group in groups:
        for field in group["fields"]:
            assert field["type"] in ("String", "Integer", "Number", "Boolean")
            assert field["label"]
            assert field["info"]


def test_a_method_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r'there is no method "lara". Did you mean "lora"'):
        form_text("lara")


@pytest.mark.parametrize("method", SECTIONED)
def test_a_form_has_every_setting_of_its_recipe_but_mappings_and_the_switch_of_a_group(method: str) -> None:
    left_out = {"evaluation.compare"} | {dotted for dotted in FIELDS if dict in kinds(dotted)}
    others = tuple(f"{name}." for name in METHODS if name != method)
    expected = {dotted for dotted in FIELDS if not dotted.startswith(others)} - left_out
    fields = _fields(method)
    assert set(fields) == expected
    assert all(field.info == meaning_of(FIELDS[dotted]) for dotted, field in fields.items())


def test_everyday_settings_and_those_of_the_method_are_in_front_and_the_rest_is_folded() -> None:
    groups = {group.group_id: group for group in form_of("prefix_tuning").groups}
    in_front = [field.id for name in ("data", "finetuning") for field in groups[name].fields]
    assert all(marks_of(FIELDS[dotted]).get("everyday") or dotted.startswith("prefix_tuning.") for dotted in in_front)
    assert not any(marks_of(FIELDS[field.id]).get("everyday") for field in groups["advanced"].fields)
    assert [name for name, group in groups.items() if group.collapsed] == ["advanced", "comparison"]
    assert groups["comparison"].toggle == "evaluation.compare"


def test_types_ranges_and_choices_are_those_of_the_config_classes() -> None:
    fields = _fields("qlora")
    ranks = fields["qlora.r"]
    assert (ranks.type, ranks.min, ranks.max, ranks.default) == ("Integer", 1, 1024, 16)
    assert (fields["batching.micro_batch_tokens"].min, fields["batching.micro_batch_tokens"].max) == (0, None)
    warmup = fields["training.num_warmup_steps"]
    assert (warmup.type, warmup.min, warmup.max) == ("Number", 0, None)  # steps or a share of them
    assert fields["qlora.quantization"].options == ("nf4", "int8")
    assert fields["data.cleaning.drop_duplicates"].options == ("row", "prompt")
    assert fields["qlora.init_lora_weights"].options == (True, "gaussian", "pissa", "olora")
    assert (fields["data.train_files"].type, fields["data.train_files"].is_array) == ("String", True)
    assert (fields["qlora.layers_to_transform"].type, fields["qlora.layers_to_transform"].is_array) == ("Integer", True)
    assert fields["training.bf16"].type == "Boolean"


def test_the_lora_form_starts_from_the_values_of_modellabs_template() -> None:
    fields = _fields("lora")
    assert {key: field.default for key, field in fields.items() if key in LORA_TEMPLATE} == LORA_TEMPLATE
    ours = {key: field.default for key, field in fields.items() if key not in LORA_TEMPLATE}
    assert ours == {
        "system_prompt": None,
        "varied_seqlen": False,
        "lora_r": 16,
        "lora_alpha": 32,
        "target_modules": "all-linear",
    }


def test_the_flat_forms_have_modellabs_ranges_and_choices() -> None:
    for method in GROUPS:
        fields = _fields(method)
        limits = {key: (fields[key].min, fields[key].max) for key in RANGES if key in fields}
        assert limits == {key: RANGES[key] for key in limits}
    soft_prompt = _fields("soft_prompt")
    assert soft_prompt["number_of_virtual_tokens"].options == (32, 64, 128, 256, 512)
    assert soft_prompt["learning_rate"].default == 3e-5  # which its own range does not hold


def test_a_flat_form_asks_for_no_value_that_the_setting_could_not_have() -> None:
    settings = {dotted: _field(dotted, None) for dotted in FIELDS if _schemas(dotted)}
    for method in GROUPS:
        for key, field in _fields(method).items():
            widest = settings[KEYS[key].setting]
            assert field.type == widest.type
            assert set(field.options) <= set(widest.options) or not widest.options
            assert widest.min is None or (field.min is not None and field.min >= widest.min)
            assert widest.max is None or (field.max is not None and field.max <= widest.max)


def test_every_flat_key_of_the_tables_is_on_a_form_and_prose_speaks_of_flat_keys() -> None:
    shown = {key for groups in GROUPS.values() for _, keys in groups for key in keys.split()}
    assert shown == set(FLAT_FIELDS)
    assert set(KEYS) - shown == {
        "model",
        "model_revision",
        "finetune_dataset",
        "save_dir",
        "compare_enabled",
        "eval_strategy",
    }
    assert "null computes them from epochs" in _fields("lora")["num_training_steps"].info


def test_a_key_that_may_be_empty_is_not_required() -> None:
    required = {key for key, field in _fields("lora").items() if field.required}
    assert {"epochs", "learning_rate", "lora_dropout"} <= required
    assert required.isdisjoint({"finetune_train_nsamples", "early_stopping_patience", "evaluation_strategy", "lora_r"})
    assert not any(field.required for field in _fields("soft_prompt").values())
