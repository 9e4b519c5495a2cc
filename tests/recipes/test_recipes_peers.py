"""The published recipes of other tools become equal recipes here, or are refused with one table that says why."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peer_recipes as examples
from reference.other_tools import MARKER, PAGES, tables_of, with_tables
from tunelab.errors import RecipeError
from tunelab.recipes import ResolvedRecipe, convert, explain, resolve_recipe
from tunelab.recipes.dialects import DIALECTS
from tunelab.recipes.dialects.peer import PeerDialect
from tunelab.recipes.explain import defaults_of
from tunelab.recipes.peers import PEERS, Peer
from tunelab.recipes.recipe import FIELDS, SECTIONS, settings_of

READ = {
    "LLAMA_FACTORY_LORA": "LLaMA-Factory",
    "LLAMA_FACTORY_PISSA": "LLaMA-Factory",
    "LLAMA_FACTORY_QLORA": "LLaMA-Factory",
    "LLAMA_FACTORY_FULL": "LLaMA-Factory",
    "AXOLOTL_LORA": "Axolotl",
    "AXOLOTL_QLORA": "Axolotl",
    "AXOLOTL_CHAT": "Axolotl",
    "TRL_EXAMPLE": "TRL",
    "TRL_QLORA": "TRL",
    "UNSLOTH_STUDIO": "Unsloth",
    "UNSLOTH_FULL": "Unsloth",
    "UNSLOTH_MODEL_DEFAULTS": "Unsloth",
    "UNSLOTH_ARGUMENTS": "Unsloth",
    "MLX_LORA": "mlx-lm",
    "MLX_SCHEDULE": "mlx-lm",
    "OPENAI_JOB": "OpenAI",
}
REFUSED = {"LLAMA_FACTORY_DPO": "LLaMA-Factory", "AXOLOTL_GEMMA": "Axolotl", "TRL_HANDBOOK": "TRL"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(examples.DATASET_INFO)
    (tmp_path / "rows").mkdir()
    (tmp_path / "mlx_model").mkdir()
    sizes = {"hidden_size": 8, "num_hidden_layers": 5, "vocab_size": 9}
    (tmp_path / "mlx_model" / "config.json").write_text(json.dumps({"model_type": "llama", **sizes}))
    return tmp_path


def _read(folder: Path, text: str, name: str = "") -> ResolvedRecipe:
    path = folder / (name or ("job.json" if text.startswith("{") else "theirs.yaml"))
    path.write_text(text)
    return resolve_recipe(path, environment={})


def _changed(resolved: ResolvedRecipe) -> dict[str, object]:
    defaults = defaults_of(resolved.recipe)
    return {key: value for key, value in settings_of(resolved.recipe).items() if value != defaults[key]}


def _refusal(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        _read(folder, text)
    return str(caught.value)


def _notes(resolved: ResolvedRecipe) -> str:
    return "\n".join(resolved.notes)


@pytest.mark.parametrize(("example", "tool"), READ.items())
def test_a_published_recipe_is_read_and_its_conversion_has_equal_values(folder: Path, example: str, tool: str) -> None:
    resolved = _read(folder, getattr(examples, example))
    assert resolved.dialect == tool
    text = convert(resolved, folder=folder)
    again = _read(folder, text, "ours.yaml")
    assert again.dialect == "canonical"
    assert again.recipe == resolved.recipe
    assert [(row.key, row.value) for row in explain(again)] == [(row.key, row.value) for row in explain(resolved)]
    assert len([line for line in text.splitlines() if ": " in line and not line.startswith("#")]) < 35


@pytest.mark.parametrize(("example", "tool"), REFUSED.items())
def test_a_published_recipe_that_has_no_equal_is_refused_in_one_table(folder: Path, example: str, tool: str) -> None:
    message = _refusal(folder, getattr(examples, example))
    assert f"this is a recipe of {tool}, and " in message
    assert "ModelLab" not in message
    assert len(re.findall(r"^    line +\d+  ", message, re.MULTILINE)) == int(message.partition("and ")[2].split()[0])
    assert len(message) < 1_000


def test_the_refused_examples_name_what_has_no_equal_and_nothing_else(folder: Path) -> None:
    keys = {name: re.findall(r"line +\d+  ([\w.]+):", _refusal(folder, getattr(examples, name))) for name in REFUSED}
    assert keys == {
        "LLAMA_FACTORY_DPO": ["stage", "dataset"],
        "AXOLOTL_GEMMA": ["unfrozen_parameters"],
        "TRL_HANDBOOK": ["chat_template", "dataset_config"],
    }


def test_llama_factorys_own_example_becomes_the_same_training(folder: Path) -> None:
    resolved = _read(folder, examples.LLAMA_FACTORY_LORA)
    assert _changed(resolved) == {
        "model.base_model": "meta-llama/Meta-Llama-3-8B-Instruct",
        "data.data_dir": "data",
        "data.train_files": ["identity.json", "alpaca_en_demo.json"],
        "data.train_samples": 2000,
        "data.eval_fraction": 0.0,
        "lora.r": 8,
        "lora.lora_alpha": 16.0,
        "training.output_dir": "saves/llama3-8b/lora/sft",
        "training.num_train_epochs": 3.0,
        "training.per_device_train_batch_size": 1,
        "training.gradient_accumulation_steps": 8,
        "training.learning_rate": 1e-4,
        "training.lr_scheduler_type": "cosine_with_warmup",
        "training.num_warmup_steps": 0.1,
        "training.adam_beta2": 0.999,
        "training.eval_strategy": "no",
        "training.save_steps": 500,
        "training.early_stopping_patience": None,
        "training.load_best_model_at_end": False,
        "training.bf16": True,
        "training.logging_steps": 10,
    }
    assert resolved.sources["lora.r"].endswith("theirs.yaml:6 (LLaMA-Factory lora_rank)")
    assert resolved.sources["training.adam_beta2"] == "LLaMA-Factory default"
    assert "template: rows are rendered by the model's own chat template" in _notes(resolved)
    assert "at most 2,000 rows of all 2 data sets together" in _notes(resolved)
    (left,) = [note for note in resolved.notes if note.startswith("Left out")]
    assert all(key in left for key in ("plot_loss", "overwrite_cache", "ddp_timeout", "trust_remote_code"))
    assert "report_to" not in left


def test_the_other_examples_of_llama_factory_differ_where_they_say_so(folder: Path) -> None:
    pissa = _changed(_read(folder, examples.LLAMA_FACTORY_PISSA))
    assert pissa["lora.init_lora_weights"] == "pissa"
    qlora = _changed(_read(folder, examples.LLAMA_FACTORY_QLORA))
    assert (qlora["qlora.r"], qlora["qlora.target_modules"]) == (8, ["q_proj", "v_proj"])
    assert (qlora["data.eval_fraction"], qlora["training.eval_steps"]) == (0.1, 500)
    full = _read(folder, examples.LLAMA_FACTORY_FULL)
    assert full.recipe.full is not None
    assert full.recipe.training.learning_rate == 1e-5
    assert "deepspeed" in _notes(full)


@pytest.mark.parametrize(
    ("data_sets", "expected"),
    [
        ("glaive_toolcall_en_demo", {}),
        ("openai_form", {}),
        ("faq", {"data.field_map": {"instruction": "question", "output": "answer"}}),
        (
            "support",
            {
                "data.field_map": {"messages": "dialog", "system": "persona", "role": "speaker", "content": "words"},
                "data.role_map": {"customer": "user", "agent": "assistant"},
            },
        ),
    ],
)
def test_columns_and_tags_of_dataset_info_are_maps_of_fields_and_roles(
    folder: Path, data_sets: str, expected: Mapping[str, object]
) -> None:
    changed = _changed(_read(folder, f"stage: sft\ndataset: {data_sets}\n"))
    assert {key: changed[key] for key in changed if key.endswith("_map")} == expected


def test_data_sets_of_llama_factory_come_from_files_and_from_the_hub_and_are_held_out(folder: Path) -> None:
    data = _read(
        folder, "stage: sft\ndataset: [identity, on_the_hub]\neval_dataset: alpaca_en_demo\neval_strategy: epoch\n"
    ).recipe.data
    assert data.train_files == ("identity.json", "owner/rows[train_sft]")
    assert data.eval_files == ("alpaca_en_demo.json",)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("dataset: alpaca_en_demo\nmask_history: true", "weight: 0"),
        (
            "dataset: identity,openai_form",
            'one format, and these data sets have 2: instruction ("identity"), messages ("openai_form")',
        ),
        ("dataset: alpaca_en_dmo", 'Did you mean "alpaca_en_demo"?'),
        ("dataset: identity\ndataset_dir: elsewhere", "dataset_info.json, and there is none"),
        ("dataset: mllm_demo", "images, video or sound, which are not read"),
        ("dataset: dpo_en_demo", "holds preferences"),
        ("dataset: identity\nval_size: 100", "here a share of them is held out; the nearest is data.eval_fraction"),
        ("dataset: identity\nquantization_bit: 3", "in 4 bits (nf4) or in 8 (int8)"),
        ("dataset: identity\nfinetuning_type: freeze", "adapters are LoRA, or all weights are trained"),
        ("dataset: identity\nlr_scheduler_type: polynomial", "schedules are linear, cosine and constant"),
        ("dataset: identity\noptim: adafactor", "the optimizer is AdamW"),
        ("dataset: identity\nlora_rnk: 4", 'Did you mean "lora_rank"?'),
        ("dataset: identity\nlora_rank: 0", "(LLaMA-Factory lora_rank): lora.r is 0; expected a whole number"),
        ("dataset: identity\ndefault_system: Be brief.", "the nearest is data.system_prompt"),
        ("dataset: identity\ndo_train: false", "this file trains nothing"),
        ("dataset: identity\ndo_predict: true", "this file trains nothing"),
        ("dataset: identity\nenable_thinking: false", "the nearest is data.chat_template_kwargs"),
        ("dataset: identity\nwarmup_ratio: 1", "a run of warm-up alone"),
        ("dataset: identity,openai_form", "write the rows of one in the form of the others"),
        ("dataset: glaive_toolcall_en_demo,openai_form", '2: sharegpt ("glaive_toolcall_en_demo"), messages'),
        ("dataset: identity,faq", '"faq" calls the field instruction question, and those before it instruction'),
        ("dataset: openai_form,support", '"support" calls the field messages dialog, and those before it messages'),
        ("dataset: small", '"small" is cut to 9 rows'),
    ],
)
def test_what_llama_factory_trains_and_we_do_not_is_refused_with_the_nearest(
    folder: Path, lines: str, expected: str
) -> None:
    assert expected in _refusal(folder, f"stage: sft\n{lines}\n")


def test_keys_without_a_twin_and_impossible_values_are_reported_together(folder: Path) -> None:
    message = _refusal(folder, "stage: sft\nneftune_noise_alpha: 5\nmask_history: true\nlearning_rate: 9\n")
    assert message.startswith("the recipe has 2 faults:")
    assert "2 of its 4 keys change what is trained and have no equal here" in message
    assert "line 2  neftune_noise_alpha: 5  noise on the embeddings is not available" in message
    assert "training.learning_rate is 9" in message
    assert "docs/from/llama-factory.md" in message


def test_an_interval_that_is_a_share_and_a_warm_up_without_effect_are_said(folder: Path) -> None:
    resolved = _read(folder, "stage: sft\neval_steps: 0.1\nlr_scheduler_type: constant\nwarmup_ratio: 0.1\n")
    assert resolved.recipe.training.eval_steps == 64
    assert "eval_steps: steps are counted here; this is a share of all (training.eval_steps)" in _notes(resolved)
    assert (resolved.recipe.training.lr_scheduler_type, resolved.recipe.training.num_warmup_steps) == ("constant", 0)
    assert "warmup_ratio has no effect: constant has no warm-up" in _notes(resolved)


def test_a_sequence_of_any_length_is_refused(folder: Path) -> None:
    assert "max_length: null" in _refusal(folder, "dataset_name: a/b\nmax_length: null\n")


def test_a_key_that_is_switched_off_is_obeyed_in_silence(folder: Path) -> None:
    text = "stage: sft\nneftune_noise_alpha: null\nuse_galore: false\nreport_to: none\nrope_scaling: none\n"
    text += "enable_thinking: true\n"
    assert "Left out" not in _notes(_read(folder, text))


OPTIMIZERS = {
    "LLaMA-Factory": ("stage: sft", "optim"),
    "Axolotl": ("adapter: lora", "optimizer"),
    "TRL": ("dataset_name: a/b", "optim"),
    "Unsloth": ("random_state: 1", "optim"),
    "Unsloth studio": ("training:\n  training_type: lora", "  optim"),
}


@pytest.mark.parametrize(("lines", "key"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_another_adamw_becomes_ours_and_is_said_and_another_optimizer_is_refused(
    folder: Path, lines: str, key: str
) -> None:
    for name in ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "adamw_torch_4bit"):
        notes = _notes(_read(folder, f"{lines}\n{key}: {name}\n"))
        assert f"{key.strip()}: {name}: the optimizer is AdamW, with moments in float32." in notes
    for name in ("adamw_torch", "adamw_torch_fused", "paged_adamw_32bit"):
        assert name not in _notes(_read(folder, f"{lines}\n{key}: {name}\n"))
    for name in ("adafactor", "lion_8bit", "muon", "sgd", "schedule_free_adamw"):
        assert f"{key.strip()}: {json.dumps(name)}" in _refusal(folder, f"{lines}\n{key}: {name}\n")


def test_a_tool_is_recognised_by_most_of_its_keys_and_one_of_another_tool_is_a_mistake(folder: Path) -> None:
    message = _refusal(folder, AXOLOTL + "  - {path: a.jsonl, type: alpaca}\nlora_rank: 16\nstage: sft\n")
    assert "this is a recipe of Axolotl, and 2 of its 6 keys" in message
    assert "lora_rank: 16" in message
    assert "this is a recipe of LLaMA-Factory" in _refusal(folder, "stage: sft\ncutoff_len: 9\nmicro_batch_size: 2\n")


def test_axolotls_examples_become_the_same_training(folder: Path) -> None:
    lora = _read(folder, examples.AXOLOTL_LORA)
    assert _changed(lora) == {
        "model.base_model": "NousResearch/Llama-3.2-1B",
        "data.train_files": ["teknium/GPT4-LLM-Cleaned[train]"],
        "data.eval_fraction": 0.1,
        "data.on_too_long": "drop",
        "lora.lora_dropout": 0.05,
        "lora.target_modules": ["gate_proj", "down_proj", "up_proj", "q_proj", "v_proj", "k_proj", "o_proj"],
        "batching.varied_seqlen": False,
        "training.output_dir": "./outputs/lora-out",
        "training.per_device_train_batch_size": 2,
        "training.gradient_accumulation_steps": 2,
        "training.lr_scheduler_type": "cosine_with_warmup",
        "training.num_warmup_steps": 10,
        "training.adam_beta2": 0.999,
        "training.eval_strategy": "epoch",
        "training.early_stopping_patience": None,
        "training.load_best_model_at_end": False,
        "training.gradient_checkpointing": True,
        "training.bf16": True,
    }
    assert "evals_per_epoch 4" in _notes(lora)
    assert "without Alpaca's preamble" in _notes(lora)
    qlora = _read(folder, examples.AXOLOTL_QLORA).recipe.qlora
    assert qlora is not None
    assert (qlora.r, qlora.quantization, qlora.target_modules) == (32, "nf4", "all-linear")
    chat = _read(folder, examples.AXOLOTL_CHAT).recipe
    assert chat.qlora is not None
    assert chat.qlora.quantization == "int8"
    assert (chat.data.field_map, chat.data.role_map, chat.data.max_length) == ({}, {}, 4096)


AXOLOTL = "adapter: lora\nbase_model: nano\nmicro_batch_size: 2\ndatasets:\n"


def test_fields_and_roles_of_axolotls_data_sets_are_maps(folder: Path) -> None:
    text = """\
  - path: rows/chats.jsonl
    type: chat_template
    field_messages: dialog
    message_property_mappings: {role: speaker, content: words}
    message_field_training: train
    roles: {user: [customer, user], assistant: [agent]}
    roles_to_train: [assistant]
"""
    data = _read(folder, AXOLOTL + text).recipe.data
    assert data.train_files == ("rows/chats.jsonl",)
    assert data.field_map == {"messages": "dialog", "role": "speaker", "content": "words"}
    assert data.role_map == {"customer": "user", "agent": "assistant"}
    own = "  - path: a.jsonl\n    type: {field_instruction: q, field_output: a, format: '{instruction}'}\n"
    assert _read(folder, AXOLOTL + own).recipe.data.field_map == {"instruction": "q", "output": "a"}
    plain = _read(folder, AXOLOTL + "  - path: a.jsonl\n    type: completion\n    field: body\n").recipe.data
    assert (plain.format, plain.field_map) == ("text", {"text": "body"})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("  - path: a.jsonl\n    type: oasst\n", "rows of type oasst are not read"),
        ("  - path: a.jsonl\n    type: chat_template\n    roles_to_train: [user]\n", "loss falls on answers only"),
        ("  - path: a.jsonl\n    type: alpaca\n    shards: 4\n", "shards 4 is not read"),
        ("  - path: a\n    type: alpaca\n    name: small\n", "is read by its splits"),
        ("  - path: a.jsonl\n    type: {field_output: a, format: '[INST] {instruction}'}\n", "chat template"),
        (
            "  - path: a.jsonl\n    type: chat_template\n    field_messages: x\n"
            "  - path: b.jsonl\n    type: chat_template\n    field_messages: y\n",
            "calls the field messages y, and those before it x",
        ),
        (
            "  - path: a.jsonl\n    type: alpaca\n  - path: b.jsonl\n    type: completion\n",
            "these data sets have 2: instruction (a.jsonl), text (b.jsonl)",
        ),
        ("  - path: a.jsonl\n    type: alpaca\nbatch_size: 5\n", "no multiple of micro_batch_size"),
        ("  - path: a.jsonl\n    type: alpaca\ntrain_on_inputs: true\n", "loss falls on answers only"),
        ("  - path: a.jsonl\n    type: alpaca\nplugins: [my.Plugin, axolotl.integrations.liger.X]\n", "(my.Plugin)"),
        ("  - path: a.jsonl\n    type: alpaca\nrl: dpo\n", "supervised"),
        ("  - path: a.jsonl\n    type: alpaca\ntrain_on_eos: last\n", "the end token of each answer is trained"),
        (
            "  - path: a.jsonl\n    type: chat_template\n    train_on_eos: all\n",
            "the end token of each answer is trained",
        ),
        ("  - path: a.jsonl\n    type: alpaca\nspecial_tokens: {eos_token: x}\n", "special_tokens.eos_token"),
    ],
)
def test_what_axolotl_trains_and_we_do_not_is_refused(folder: Path, lines: str, expected: str) -> None:
    assert expected in _refusal(folder, AXOLOTL + lines)


def test_layers_that_axolotl_names_besides_all_linear_ones_are_trained_too(folder: Path) -> None:
    text = AXOLOTL + "  - {path: a.jsonl, type: alpaca}\nlora_target_linear: true\n"
    for lines, targets in (
        ("", "all-linear"),
        ("lora_target_modules: [embed_tokens]\n", ("all-linear", "embed_tokens")),
    ):
        lora = _read(folder, text + lines).recipe.lora
        assert lora is not None
        assert lora.target_modules == targets


def test_a_batch_of_axolotl_is_micro_batches_times_accumulation(folder: Path) -> None:
    training = _read(folder, AXOLOTL + "  - {path: a.jsonl, type: alpaca}\nbatch_size: 32\n").recipe.training
    assert (training.per_device_train_batch_size, training.gradient_accumulation_steps) == (2, 16)


def test_axolotls_warm_up_is_three_percent_unless_the_file_says_otherwise(folder: Path) -> None:
    data = "  - {path: a.jsonl, type: alpaca}\n"

    def schedule(lines: str) -> tuple[str, float]:
        training = _read(folder, AXOLOTL + data + lines).recipe.training
        return training.lr_scheduler_type, training.num_warmup_steps

    assert schedule("") == ("cosine_with_warmup", 0.03)
    assert schedule("lr_scheduler: linear\n") == ("linear_with_warmup", 0.03)
    assert schedule("warmup_steps: 0\n") == ("cosine", 0)
    assert schedule("lr_scheduler: constant\n") == ("constant", 0)
    assert "no effect" not in _notes(_read(folder, AXOLOTL + data + "lr_scheduler: constant\n"))


def test_rows_that_axolotl_would_leave_out_are_said_to_be_trained(folder: Path) -> None:
    text = "  - {path: a.jsonl, type: alpaca}\nmin_sample_len: 9\ndataset_exact_deduplication: true\n"
    notes = _notes(_read(folder, AXOLOTL + text))
    assert "min_sample_len: rows of any length are trained" in notes
    assert "dataset_exact_deduplication: rows are dropped by rules of their own" in notes
    assert "Left out" not in notes


def test_trl_holding_out_a_split_of_local_files_is_said_to_be_done_otherwise(folder: Path) -> None:
    text = "model_name_or_path: nano\ndataset_name: rows\n"
    assert "some training rows are held out instead" in _notes(_read(folder, text + "eval_strategy: steps\n"))
    assert "held out instead" not in _notes(_read(folder, text))


@pytest.mark.parametrize("key", ["finetune_language_layers", "finetune_attention_modules", "finetune_mlp_modules"])
def test_layers_that_unsloth_leaves_as_they_are_are_refused(folder: Path, key: str) -> None:
    text = (
        "model: nano\ntraining:\n  training_type: lora\n  lr_scheduler_type: {}\n  warmup_steps: 5\nlora:\n  {}: {}\n"
    )
    assert f"lora.{key}: false" in _refusal(folder, text.format("linear", key, "false"))
    constant = _read(folder, text.format("constant", key, "true"))
    assert "warmup_steps has no effect" in _notes(constant)


def test_an_update_that_unsloth_begins_at_random_is_refused(folder: Path) -> None:
    text = "model_name: nano\nrandom_state: 1\ninit_lora_weights: "
    assert "updates begin at zero" in _refusal(folder, text + "false\n")
    assert _read(folder, text + "true\n").recipe.qlora is not None


def test_trls_examples_become_the_same_training(folder: Path) -> None:
    example = _read(folder, examples.TRL_EXAMPLE)
    assert example.recipe.full is not None
    assert example.recipe.data.train_files == ("stanfordnlp/imdb[train]",)
    assert (example.recipe.data.max_length, example.recipe.training.num_train_epochs) == (1024, 3.0)
    assert "all weights of the base model are trained" in _notes(example)
    assert "unless assistant_only_loss is true" in _notes(example)
    qlora = _read(folder, examples.TRL_QLORA)
    assert qlora.recipe.qlora is not None
    assert qlora.recipe.qlora.target_modules == ("q_proj", "v_proj")
    assert qlora.recipe.qlora.lora_dropout == 0.05
    assert qlora.recipe.data.eval_files == ("trl-lib/Capybara[test]",)
    assert qlora.recipe.training.lr_scheduler_type == "linear_with_warmup"
    assert qlora.recipe.training.num_warmup_steps == 0.03
    assert not qlora.recipe.batching.varied_seqlen
    assert "assistant_only_loss" not in _notes(qlora)


def test_unsloths_examples_become_the_same_training(folder: Path) -> None:
    studio = _read(folder, examples.UNSLOTH_STUDIO)
    assert studio.recipe.qlora is not None
    assert (studio.recipe.qlora.r, studio.recipe.qlora.lora_alpha) == (64, 16)
    training = studio.recipe.training
    assert (training.seed, training.num_warmup_steps, training.num_training_steps) == (3407, 5, None)
    assert training.lr_scheduler_type == "linear_with_warmup"
    assert "Unsloth's falls on prompts, too" in _notes(studio)
    assert _read(folder, examples.UNSLOTH_FULL).recipe.full is not None
    defaults = _read(folder, examples.UNSLOTH_MODEL_DEFAULTS).recipe
    assert defaults.lora is not None
    assert (defaults.training.num_training_steps, defaults.training.lr_scheduler_type) == (30, "cosine")
    arguments = _read(folder, examples.UNSLOTH_ARGUMENTS).recipe
    assert arguments.qlora is not None
    assert (arguments.qlora.r, arguments.training.num_training_steps, arguments.data.max_length) == (16, 60, 2048)


def test_mlx_lms_examples_become_the_same_training(folder: Path) -> None:
    lora = _read(folder, examples.MLX_LORA)
    assert lora.recipe.lora is not None
    assert (lora.recipe.lora.r, lora.recipe.lora.lora_alpha) == (8, 160)  # an update is scaled by alpha / r = 20
    assert lora.recipe.lora.layers_to_transform == (3, 4)  # the last two of five
    assert lora.recipe.training.num_training_steps == 1000
    assert lora.recipe.training.lr_scheduler_type == "constant"
    assert lora.recipe.training.weight_decay == 0.01  # mlx's AdamW
    assert lora.recipe.data.data_dir == "rows"
    assert (lora.recipe.data.train_files, lora.recipe.data.eval_files) == (("train.jsonl",), ("valid.jsonl",))
    assert "unless mask_prompt is true" in _notes(lora)
    schedule = _read(folder, examples.MLX_SCHEDULE).recipe
    assert schedule.lora is not None
    assert schedule.lora.use_dora
    assert schedule.lora.layers_to_transform == ()
    training = schedule.training
    assert (training.num_training_steps, training.eval_steps, training.save_steps) == (300, 50, 25)
    assert (training.lr_scheduler_type, training.num_warmup_steps) == ("cosine_with_warmup", 100)
    assert (training.learning_rate, training.adam_beta2, training.adam_epsilon) == (2e-5, 0.98, 1e-6)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("model: org/far-away\nnum_layers: 4", "no local model to count them in; -1 trains all"),
        ("model: mlx_model\nfine_tune_type: full\nnum_layers: 2", "full fine-tuning trains all layers"),
        ("lr_schedule: {name: step_decay, arguments: [1e-4, 0.9, 10]}", "cosine_decay has a twin"),
        ("lr_schedule: {name: cosine_decay, arguments: [1e-4, 500]}", "over all 1000 steps"),
        ("lr_schedule: {name: cosine_decay, arguments: [1e-4, 1000, 1e-7]}", "begins and ends at 0"),
        ("optimizer: muon", "the optimizer is AdamW"),
        ("resume_adapter_file: a.safetensors", "begins with a new adapter"),
    ],
)
def test_what_mlx_lm_trains_and_we_do_not_is_refused(folder: Path, lines: str, expected: str) -> None:
    assert expected in _refusal(folder, f"iters: 1000\n{lines}\n")


def test_a_job_of_openai_needs_its_files_here_and_a_model_that_is_public(folder: Path) -> None:
    job = _read(folder, examples.OPENAI_JOB)
    assert job.recipe.data.train_files == ("rows.jsonl",)
    assert (job.recipe.training.num_train_epochs, job.recipe.training.seed) == (3, 7)
    assert "gpt-4o-mini-2024-07-18 is not public" in _notes(job)
    own = resolve_recipe(folder / "job.json", overrides=["model.base_model=nano"], environment={})
    assert "not public" not in _notes(own)
    by_id = _refusal(folder, examples.OPENAI_JOB.replace("rows.jsonl", "file-abc123"))
    assert "this file is at OpenAI: download it" in by_id
    multiplied = examples.OPENAI_JOB.replace('"learning_rate_multiplier": "auto"', '"learning_rate_multiplier": 2')
    assert "it multiplies a rate that OpenAI does not publish" in _refusal(folder, multiplied)


def test_names_of_files_start_where_their_tool_was_called_and_are_read_from_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "examples").mkdir()
    path = folder / "examples" / "lora.yaml"
    path.write_text(examples.LLAMA_FACTORY_LORA)
    assert resolve_recipe(path, environment={}).recipe.data.data_dir == "../data"
    monkeypatch.chdir(folder / "examples")
    with pytest.raises(RecipeError, match="there is none"):
        resolve_recipe(path, environment={})


def test_a_conversion_into_another_folder_names_the_same_files(folder: Path) -> None:
    resolved = _read(folder, examples.LLAMA_FACTORY_LORA)
    (folder / "mine").mkdir()
    text = convert(resolved, folder=folder / "mine")
    again = _read(folder / "mine", text, "recipe.yaml")
    assert again.recipe.data.data_dir == "../data"
    assert again.anchored == resolved.anchored


def test_ours_and_modellabs_recipes_are_not_taken_for_those_of_other_tools(folder: Path) -> None:
    for text, dialect in (
        ("data:\n  train_files: a\n", "canonical"),
        ("finetune_dataset: a\nlora_r: 4\n", "ModelLab LoRA"),
        ("model_name: nano\nlora_config:\n  r: 4\n", "nested"),
    ):
        assert _read(folder, text).dialect == dialect
    ours = _refusal(folder, "data:\n  train_files: a\nval_size: 0.1\n")
    assert ours.endswith('there is no setting "val_size". It is called data.eval_fraction here: '
                         "a share; a number of rows has no twin.")  # fmt: skip


def test_the_tables_name_settings_that_exist_and_each_tool_is_recognised_by_keys_of_its_own() -> None:
    assert [dialect.peer for dialect in DIALECTS if isinstance(dialect, PeerDialect)] == list(PEERS)
    for peer in PEERS:
        named = {key.setting for key in peer.KEYS if key.setting} | set(peer.DEFAULTS)
        assert named <= {*FIELDS, *SECTIONS}, peer.NAME
        assert all(key.setting for key in peer.KEYS if key.kind == "read"), peer.NAME
        assert all(key.word for key in peer.KEYS if key.kind in ("differs", "noted", "refused")), peer.NAME
        assert [sign for sign in peer.SIGNS if not any(key.names(sign) for key in peer.KEYS)] == [], peer.NAME
    for one in PEERS:
        for other in PEERS:
            assert one is other or not one.SIGNS & other.SIGNS


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_a_page_are_those_that_recipes_are_read_by(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "from" / f"{page}.md").read_text(encoding="utf-8")
    assert MARKER in text
    assert text == with_tables(text, page), "make docs-reference writes it anew"


def test_every_tool_has_a_page_and_each_of_its_keys_is_in_a_table_of_it() -> None:
    pages = Path(__file__).parents[2] / "docs" / "from"
    assert sorted(file.stem for file in pages.glob("*.md")) == sorted(PAGES)
    for peer in PEERS:
        table = tables_of(peer.PAGE)
        assert [key.name for key in peer.KEYS if f"`{key.name.replace('.', ': ')}`" not in table] == []


def test_packed_scales_are_said_unless_the_tool_packs_them_too(folder: Path) -> None:
    said = "the scales of nf4 are packed, too"
    qlora = "stage: sft\nquantization_bit: 4\ndouble_quantization: "
    assert said in _notes(_read(folder, f"{qlora}false\n"))
    assert said not in _notes(_read(folder, f"{qlora}true\n"))
    trl = "dataset_name: a/b\nuse_peft: true\nload_in_4bit: true\n"
    assert said in _notes(_read(folder, trl)).lower()
    assert said in _notes(_read(folder, f"{trl}use_bnb_nested_quant: false\n")).lower()
    assert said not in _notes(_read(folder, f"{trl}use_bnb_nested_quant: true\n")).lower()


def test_accumulated_batches_of_mlx_lm_are_said_to_be_one_mean_here(folder: Path) -> None:
    assert "mean over all trained tokens of a step" in _notes(_read(folder, "iters: 8\ngrad_accumulation_steps: 4\n"))
    assert "mean over all" not in _notes(_read(folder, "iters: 8\ngrad_accumulation_steps: 1\n"))


def test_arguments_of_unsloth_that_do_not_say_so_load_the_base_in_4_bits_and_a_note_says_it(folder: Path) -> None:
    silent = _read(folder, "model_name: nano\nrandom_state: 1\n")
    assert silent.recipe.qlora is not None
    assert silent.recipe.qlora.quantization == "nf4"
    assert "load_in_4bit is not set: the base is packed in 4 bits" in _notes(silent)
    said = _read(folder, "model_name: nano\nrandom_state: 1\nload_in_4bit: false\n")
    assert said.recipe.lora is not None
    assert "load_in_4bit" not in _notes(said)


def test_a_switch_that_is_off_does_not_undo_another_that_is_on(folder: Path) -> None:
    for lines in ("packing: true\nneat_packing: false", "packing: false\nneat_packing: true"):
        assert not _read(folder, f"stage: sft\n{lines}\n").recipe.batching.varied_seqlen
    assert _read(folder, "stage: sft\npacking: false\nneat_packing: false\n").recipe.batching.varied_seqlen


def test_keys_that_nothing_comes_of_are_left_out_with_the_reason(folder: Path) -> None:
    full = _notes(_read(folder, "stage: sft\nfinetuning_type: full\nlora_rank: 8\nlora_target: all\n"))
    assert "lora_rank, lora_target: lora is not the method, which is full" in full
    twice = _notes(_read(folder, "stage: sft\nwarmup_steps: 9\nwarmup_ratio: 0.1\n"))
    assert "warmup_ratio: another key decides it" in twice
    split = _notes(_read(folder, "dataset_name: a/b\ndataset_test_split: dev\n"))
    assert "dataset_test_split: nothing in this file makes use of it" in split


def test_no_row_of_a_table_is_hidden_by_one_before_it() -> None:
    for peer in PEERS:
        families = [key for key in peer.KEYS if "*" in key.name]
        hidden = [
            key.name
            for family in families
            for key in peer.KEYS[peer.KEYS.index(family) + 1 :]
            if family.names(key.name)
        ]
        assert not hidden, peer.NAME


_DONE_ANYWAY = {
    "completion_only_loss", "assistant_only_loss", "mask_prompt", "training.train_on_completions", "use_peft",
    "full_finetuning", "enable_thinking", "double_quantization",
    "greater_is_better", "init_lora_weights", "num_layers", "lora_layers",
    "lora.finetune_language_layers", "lora.finetune_attention_modules", "lora.finetune_mlp_modules", "train",
    "hyperparameters.learning_rate_multiplier", "method.supervised.hyperparameters.learning_rate_multiplier",
}  # fmt: skip
"""Keys whose true asks for what is done here in any case."""


@pytest.mark.parametrize("value", [True, 3, 0.5, "zz9", ["zz9"], {"zz9": 7}], ids=str)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.NAME)
def test_every_key_of_every_tool_becomes_a_setting_or_is_named_in_a_note_or_refused(
    folder: Path, peer: Peer, value: object
) -> None:
    lost = []
    for name in {key.name.replace("*", "zz") for key in peer.KEYS}:
        if value is True and name in _DONE_ANYWAY:
            continue
        path = folder / "one.yaml"
        sign = min(peer.SIGNS, key=lambda sign: ("." not in sign, sign))
        path.write_text(json.dumps(tree_of_names({sign: None, name: value})))
        try:
            resolved = resolve_recipe(path, environment={})
            told = [*resolved.notes, *resolved.sources.values()]
        except RecipeError as error:
            told = [str(error)]
        mention = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
        lost += [name] * (not any(mention.search(each) for each in told))
    assert not lost


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 99)
    | st.floats(allow_nan=False, allow_subnormal=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_key_holds_a_file_of_another_tool_is_read_or_refused(folder: Path, data: st.DataObject) -> None:
    peer = data.draw(st.sampled_from(PEERS))
    names = st.sampled_from([key.name for key in peer.KEYS if "*" not in key.name])
    flat = data.draw(st.dictionaries(names, _VALUES, max_size=8)) | {min(peer.SIGNS): data.draw(_VALUES)}
    path = folder / "wild.yaml"
    path.write_text(json.dumps(tree_of_names(flat)))
    try:
        resolved = resolve_recipe(path, environment={})
    except RecipeError:
        return
    assert _read(folder, convert(resolved, folder=folder), "ours.yaml").recipe == resolved.recipe


def tree_of_names(flat: Mapping[str, object]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in flat.items():
        *homes, last = name.split(".")
        branch = tree
        for home in homes:
            inner = branch.get(home)
            inner = inner if isinstance(inner, dict) else {}
            branch[home], branch = inner, inner
        branch[last] = value
    return tree
