"""The dialects of ModelLab and of the training guidelines become canonical recipes, nothing lost on the way."""

from pathlib import Path

import pytest

from tunelab.errors import RecipeError
from tunelab.recipes import ResolvedRecipe, resolve_recipe
from tunelab.recipes.dialects import DIALECTS, canonical
from tunelab.recipes.dialects.modellab import _HANDLED_APART, KEYS
from tunelab.recipes.peers import PEERS
from tunelab.recipes.recipe import FIELDS, settings_of

LORA = """\
adam_beta1: !!float 0.91
adam_beta2: !!float 0.96
adam_epsilon: !!float 2E-08
early_stopping_patience: 6
epochs: 2
eval_accumulation_steps: null
eval_delay: 1
eval_steps: 32
evaluation_strategy: epoch
save_dir: mount/<run_id>/save_dir
finetune_dataset: mount/<run_id>/dataset
finetune_test_batch_size: 9
finetune_test_nsamples: 129
finetune_test_seqlen: 2049
finetune_train_batch_size: 3
finetune_train_nsamples: 8001
finetune_train_seqlen: 1025
gradient_accumulation_steps: 2
gradient_checkpointing: true
learning_rate: !!float 3e-4
lora_dropout: !!float 0.2
lr_scheduler_type: cosine_with_warmup
max_grad_norm: !!float 2
model: Phi-3.6-mini-instruct
model_path: model
num_training_steps: 77
num_warmup_steps: 401
save_steps: 96
seed: 43
weight_decay: !!float 0.01
system_prompt: Be brief.
varied_seqlen: true
compare_enabled: true
compare_file: mount/<run_id>/pairs.jsonl
compare_temperature: !!float 0.8
skip_finetune: false
adapter_path: ""
"""

SOFT_PROMPT = """\
model: Phi-3.6-mini-instruct
finetune_dataset: mount/<run_id>/dataset
max_input_size: 1000
init_prompt: 'Say: topic="?"; sentiment="?";'
number_of_virtual_tokens: 32
learning_rate: !!float 3e-05
finetune_train_nsamples: null
"""

NESTED = """\
model_name: "meta-llama/Llama-3-8b-instruct"
lora_config:
  r: 8
  lora_alpha: 33
  target_modules: ["q_proj", "v_proj", "k_proj", "o_proj"]
  lora_dropout: 0.15
  bias: "all"
  task_type: "CAUSAL_LM"

training_config:
  batch_size: 3
  gradient_accumulation_steps: 5
  learning_rate: 1e-4
  num_epochs: 5
  warmup_steps: 100
  max_seq_length: 4096
  gradient_checkpointing: true

data:
  train_files: train.jsonl
"""


def _read(folder: Path, text: str, name: str = "lora.yaml", *overrides: str) -> ResolvedRecipe:
    (folder / name).write_text(text)
    return resolve_recipe(folder / name, overrides=overrides, environment={})


def test_every_key_of_a_lora_yaml_arrives(tmp_path: Path) -> None:
    resolved = _read(tmp_path, LORA)
    assert resolved.dialect == "ModelLab LoRA"
    settings = settings_of(resolved.recipe)
    assert {key: settings[key] for key, source in resolved.sources.items() if source != "default"} == {
        "model.base_model": "Phi-3.6-mini-instruct",
        "data.train_files": ["dataset"],
        "data.train_samples": 8001,
        "data.eval_samples": 129,
        "data.system_prompt": "Be brief.",
        "data.max_length": 1025,
        "data.eval_max_length": 2049,
        "lora.lora_dropout": 0.2,
        "batching.varied_seqlen": True,
        "training.num_train_epochs": 2,
        "training.num_training_steps": 77,
        "training.per_device_train_batch_size": 3,
        "training.per_device_eval_batch_size": 9,
        "training.gradient_accumulation_steps": 2,
        "training.learning_rate": 3e-4,
        "training.lr_scheduler_type": "cosine_with_warmup",
        "training.num_warmup_steps": 401,
        "training.weight_decay": 0.01,
        "training.adam_beta1": 0.91,
        "training.adam_beta2": 0.96,
        "training.adam_epsilon": 2e-8,
        "training.max_grad_norm": 2,
        "training.eval_strategy": "epoch",
        "training.eval_steps": 32,
        "training.eval_delay": 1,
        "training.eval_accumulation_steps": None,
        "training.save_steps": 96,
        "training.early_stopping_patience": 6,
        "training.gradient_checkpointing": True,
        "training.seed": 43,
        "evaluation.compare": True,
        "evaluation.compare_file": "pairs.jsonl",
        "evaluation.temperature": 0.8,
    }
    assert resolved.sources["training.learning_rate"] == f"{tmp_path / 'lora.yaml'}:20 (ModelLab learning_rate)"


def test_a_soft_prompt_yaml_trains_a_soft_prompt_and_its_low_rate_is_said_aloud(tmp_path: Path) -> None:
    resolved = _read(tmp_path, SOFT_PROMPT, "soft_prompt.yaml")
    soft_prompt = resolved.recipe.soft_prompt
    assert soft_prompt is not None
    assert soft_prompt.number_of_virtual_tokens == 32
    assert soft_prompt.init_prompt == 'Say: topic="?"; sentiment="?";'
    assert resolved.recipe.data.max_length == 1000
    assert resolved.recipe.training.learning_rate == 3e-5
    assert resolved.recipe.training.eval_steps == 8
    assert resolved.recipe.data.train_samples is None
    assert any("3e-05 is below 0.0001 (ModelLab's own form), and is used" in note for note in resolved.notes)


def test_missing_keys_take_the_documents_defaults_and_say_where_the_template_differs(tmp_path: Path) -> None:
    resolved = _read(tmp_path, "finetune_dataset: dataset\nepochs: null\n")
    assert resolved.recipe.training.num_warmup_steps == 400
    assert resolved.recipe.training.num_train_epochs == 1
    assert resolved.recipe.training.lr_scheduler_type == "linear"
    assert resolved.recipe.training.per_device_train_batch_size == 4
    assert not resolved.recipe.batching.varied_seqlen
    assert resolved.sources["data.max_length"] == "ModelLab default"
    assert any("its template says 8000; 4096 is used" in note for note in resolved.notes)
    overridden = _read(tmp_path, "finetune_dataset: dataset\n", "lora.yaml", "data.train_samples=5")
    assert not any("8000" in note for note in overridden.notes)


def test_placeholders_of_the_container_lead_to_the_folder_of_the_file(tmp_path: Path) -> None:
    assert _read(tmp_path, LORA).recipe.training.output_dir is None
    named = LORA.replace("mount/<run_id>/save_dir", "out").replace("pairs.jsonl", "<compare_file>")
    resolved = _read(tmp_path, named)
    assert resolved.recipe.training.output_dir == "out"
    assert resolved.recipe.evaluation.compare_file is None
    assert any("placeholder" in note for note in resolved.notes)
    literal = tmp_path / "mount" / "<run_id>" / "dataset"
    literal.mkdir(parents=True)
    assert _read(tmp_path, LORA).recipe.data.train_files == ("mount/<run_id>/dataset",)
    hub = LORA.replace("mount/<run_id>/dataset", "wikitext2")
    assert _read(tmp_path, hub).recipe.data.train_files == ("wikitext2",)


def test_the_private_model_is_said_aloud_until_another_one_is_named(tmp_path: Path) -> None:
    assert any("--set model.base_model" in note for note in _read(tmp_path, LORA).notes)
    resolved = _read(tmp_path, LORA, "lora.yaml", "model.base_model=nano")
    assert resolved.recipe.model.base_model == "nano"
    assert not any("not public" in note for note in resolved.notes)
    (tmp_path / "model").mkdir()
    beside = _read(tmp_path, LORA)
    assert beside.recipe.model.base_model == "model"
    assert not any("not public" in note for note in beside.notes)


def test_pain_23_an_unknown_key_of_a_flat_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'lora.yaml:38: ModelLab has no key "finetune_train_seqlne". Did you mean'):
        _read(tmp_path, LORA + "finetune_train_seqlne: 3\n")


def test_an_impossible_value_of_a_flat_file_names_its_own_line_and_key(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"lora.yaml:29 \(ModelLab seed\): training.seed is -1; expected a whole number"
    ):
        _read(tmp_path, LORA.replace("seed: 43", "seed: -1"))


def test_the_dialects_name_only_settings_that_exist() -> None:
    assert {key.setting for key in KEYS.values()} <= set(FIELDS)
    assert all(key.only in ("", "lora", "soft_prompt") for key in KEYS.values())
    assert all(key.lora is not None for key in KEYS.values() if key.template is not None)
    assert not set(_HANDLED_APART) & set(KEYS)


def test_every_key_of_the_nested_form_arrives(tmp_path: Path) -> None:
    resolved = _read(tmp_path, NESTED, "llama.yaml")
    assert resolved.dialect == "nested"
    settings = settings_of(resolved.recipe)
    assert {key: settings[key] for key, source in resolved.sources.items() if source != "default"} == {
        "model.base_model": "meta-llama/Llama-3-8b-instruct",
        "data.train_files": ["train.jsonl"],
        "data.max_length": 4096,
        "lora.r": 8,
        "lora.lora_alpha": 33,
        "lora.lora_dropout": 0.15,
        "lora.target_modules": ["q_proj", "v_proj", "k_proj", "o_proj"],
        "lora.bias": "all",
        "training.num_train_epochs": 5,
        "training.per_device_train_batch_size": 3,
        "training.gradient_accumulation_steps": 5,
        "training.learning_rate": 1e-4,
        "training.lr_scheduler_type": "linear_with_warmup",
        "training.num_warmup_steps": 100,
        "training.gradient_checkpointing": True,
    }
    assert any("linear_with_warmup" in note for note in resolved.notes)


def test_a_nested_file_may_hold_no_lora_config_and_name_its_scheduler(tmp_path: Path) -> None:
    text = "model_name: nano\ntraining_config:\n  warmup_steps: 3\n  lr_scheduler_type: cosine_with_warmup\n"
    resolved = _read(tmp_path, text, "phi3.yaml")
    assert resolved.recipe.lora is not None
    assert resolved.recipe.training.lr_scheduler_type == "cosine_with_warmup"
    assert not any("linear_with_warmup" in note for note in resolved.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model_name: a\nlora_config:\n  task_type: SEQ_CLS\n", "CAUSAL_LM"),
        ("model_name: a\nlora_config:\n  rank: 4\n", ":3: there is no setting"),
        ("model_name: a\ntraining_config:\n  num_epoch: 4\n", ":3: there is no setting"),
        ("model_name: a\ntrainin_config:\n  num_epochs: 4\n", 'Did you mean "training_config"?'),
    ],
)
def test_pain_23_the_nested_form_refuses_what_it_cannot_honour(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _read(tmp_path, text)
    assert expected in str(caught.value)


def test_the_list_holds_every_dialect_once_and_the_one_that_reads_what_is_left_comes_last() -> None:
    files = Path(canonical.__file__).parent.glob("*.py")
    own = [dialect.__name__.rpartition(".")[2] for dialect in DIALECTS[len(PEERS) :]]  # type: ignore[attr-defined]
    assert sorted([*own, "peer"]) == sorted(file.stem for file in files if file.stem != "__init__")
    assert [dialect.speaks(frozenset()) for dialect in DIALECTS] == [False] * (len(DIALECTS) - 1) + [True]
