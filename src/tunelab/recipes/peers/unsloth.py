"""Unsloth's recipes: the nested YAML of its studio, and the arguments of its Python functions."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers import trainer_keys as trainer
from tunelab.recipes.peers.data_names import local_name, rows_at
from tunelab.recipes.peers.key import OFF, ON, Key, differs, joined, noted, read, refused, refused_unless, words
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import (
    ADAMW,
    SMALLER_ADAMW,
    as_list,
    interval,
    is_on,
    names,
    reversed_switch,
    steps,
    switched,
)

NAME = "Unsloth"
PAGE = "unsloth-and-trl"
SIGNS = words(
    "training.training_type training.train_on_completions training.random_seed lora.finetune_language_layers "
    "lora.vision_all_linear use_gradient_checkpointing random_state loftq_config fast_inference "
    "max_lora_rank"
)

_CHECKPOINTING = lambda value: value == "unsloth" or switched(value)  # noqa: E731
_TRACKER = "each run writes events.jsonl; other trackers are not available yet"
_VISION = "images are not read"

_STUDIO: tuple[Key, ...] = (
    read("model", "model.base_model"),
    joined("data.dataset", "data.train_files", "a split on the Hub"),
    joined("data.local_dataset", "data.train_files"),
    joined("data.local_eval_dataset", "data.eval_files"),
    joined("data.train_split", "data.train_files", "name[split]"),
    joined("data.eval_split", "data.eval_files", "name[split]"),
    joined("data.custom_format_mapping", "data.field_map"),
    *noted("the format of rows is seen, or named by data.format", "data.format_type", "data.format"),
    joined("training.training_type", "lora", "lora and full are sections"),
    joined("training.load_in_4bit", "qlora.quantization", "nf4, in the section qlora"),
    read("training.max_seq_length", "data.max_length"),
    read("training.num_epochs", "training.num_train_epochs", steps),
    read("training.learning_rate", "training.learning_rate"),
    read("training.batch_size", "training.per_device_train_batch_size"),
    read("training.gradient_accumulation_steps", "training.gradient_accumulation_steps"),
    joined("training.warmup_steps", "training.num_warmup_steps"),
    joined("training.warmup_ratio", "training.num_warmup_steps", "a share of all steps"),
    read("training.max_steps", "training.num_training_steps", steps, "0 is none"),
    read("training.save_steps", "training.save_steps", interval),
    read("training.eval_steps", "training.eval_steps", interval),
    read("training.weight_decay", "training.weight_decay"),
    read("training.max_grad_norm", "training.max_grad_norm"),
    read("training.random_seed", "training.seed"),
    read("training.packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    read("training.output_dir", "training.output_dir"),
    read("training.gradient_checkpointing", "training.gradient_checkpointing", _CHECKPOINTING, "unsloth is true"),
    joined("training.lr_scheduler_type", "training.lr_scheduler_type"),
    *refused("the optimizer is AdamW, with moments in float32", "training.optim", off=ADAMW, near=SMALLER_ADAMW),
    *noted(trainer.LOADER, "training.dataloader_num_workers training.dataset_num_proc"),
    joined("training.train_on_completions", "", "loss falls on answers only, as with true"),
    read("lora.lora_r", "lora.r"),
    read("lora.lora_alpha", "lora.lora_alpha"),
    read("lora.lora_dropout", "lora.lora_dropout"),
    read("lora.target_modules", "lora.target_modules", names),
    read("lora.use_rslora", "lora.use_rslora", switched),
    *refused("the base is packed as it is", "lora.use_loftq", "lora.init_lora_weights"),
    *refused(_VISION, "lora.vision_all_linear"),
    *noted(_VISION, "lora.finetune_vision_layers"),
    *refused_unless("layers are named by their role", "lora.finetune_language_layers lora.finetune_attention_modules "
                    "lora.finetune_mlp_modules", "lora.target_modules", done=ON),
    *noted(_TRACKER, "logging.enable_* logging.wandb_* logging.tensorboard_dir"),
    *noted("no network is used", "logging.hf_token", "model.base_model"),
    read("logging.log_frequency", "training.logging_steps"),
)  # fmt: skip
"""The studio's file: rows that set lora to false are left as they are, those that choose layers narrow the roles."""

_ARGUMENTS: tuple[Key, ...] = (
    read("model_name", "model.base_model"),
    read("max_seq_length", "data.max_length"),
    read("r", "lora.r"),
    read("target_modules", "lora.target_modules", names),
    read("lora_alpha", "lora.lora_alpha"),
    read("lora_dropout", "lora.lora_dropout"),
    read("use_rslora", "lora.use_rslora", switched),
    read("bias", "lora.bias"),
    read("modules_to_save", "lora.modules_to_save", names),
    read("layers_to_transform", "lora.layers_to_transform"),
    read("random_state", "training.seed"),
    read("use_gradient_checkpointing", "training.gradient_checkpointing", _CHECKPOINTING, "unsloth is true"),
    joined("load_in_4bit", "qlora.quantization", "nf4, in the section qlora"),
    joined("load_in_8bit", "qlora.quantization", "int8, in the section qlora"),
    joined("full_finetuning", "full", "true is the section full"),
    read("dtype", "model.torch_dtype", lambda value: str(value).removeprefix("torch.")),
    joined("dataset_name", "data.train_files"),
    *refused("the base is packed as it is", "loftq_config", "lora.init_lora_weights"),
    *refused_unless("updates begin at zero", "init_lora_weights", "lora.init_lora_weights", done=ON),
    *differs("rows are rendered by the model's own chat template", "chat_template", "data.chat_template"),
    *noted("changes speed or memory alone", "fast_inference max_lora_rank gpu_memory_utilization float8_kv_cache "
           "use_exact_model_name device_map"),
    *noted("no network is used", "token"),
    read("packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    *noted("rows are rendered as their format says", "dataset_text_field dataset_num_proc"),
    *(key for key in trainer.KEYS if key.name not in ("seed", "gradient_checkpointing")),
    read("seed", "training.seed"),
)  # fmt: skip

KEYS = (*_STUDIO, *_ARGUMENTS)

DEFAULTS: dict[str, Any] = trainer.DEFAULTS | {
    "training.per_device_train_batch_size": 2,
    "training.gradient_checkpointing": True,
    "training.seed": 3407,
    "lora.lora_alpha": 16,
}


def finish(reading: Reading) -> None:
    """Set what several keys decide together."""
    _choose_method(reading)
    prefix = "training." if any(key.startswith("training.") for key in reading.entries) else ""
    _read_schedule(reading, prefix)
    _read_data(reading)
    if is_on(reading.value("training.train_on_completions", False)):
        reading.obey("training.train_on_completions")
    else:
        text = "Loss falls on answers only; Unsloth's falls on prompts, too, unless train_on_completions is true "
        reading.note(f"{text}(train_on_responses_only).")


def _choose_method(reading: Reading) -> None:
    kind = reading.value("training.training_type", "full" if is_on(reading.value("full_finetuning")) else "lora")
    packed = [key for key in ("training.load_in_4bit", "load_in_4bit", "load_in_8bit") if is_on(reading.value(key))]
    reading.obey("training.training_type", *(["full_finetuning"] if kind == "full" else []))
    is_said = bool(packed) or any(key in reading.entries for key in ("load_in_4bit", "load_in_8bit"))
    if kind not in ("lora", "qlora", "full"):
        reading.refuse("training.training_type", "adapters are LoRA, or all weights are trained (full)", "lora")
    elif kind == "full":
        reading.method = "full"
    elif packed:
        reading.method = "qlora"
        reading.set("qlora.quantization", "int8" if packed[0].endswith("8bit") else "nf4", packed[0])
    elif not is_said and not any(key.startswith("training.") for key in reading.entries):
        reading.method = "qlora"
        reading.set("qlora.quantization", "nf4")
        text = "load_in_4bit is not set: the base is packed in 4 bits, as Unsloth's from_pretrained does without it; "
        reading.note(f"{text}load_in_4bit: false trains lora on the base as it is.", about="qlora.quantization")


def _read_schedule(reading: Reading, prefix: str) -> None:
    given = {key.removeprefix(prefix): entry for key, entry in reading.entries.items() if key.startswith(prefix)}
    if not prefix:
        trainer.read_schedule(reading)
        return
    inner = Reading(tool=reading.tool, page=reading.page, folder=reading.folder, entries=given)
    trainer.read_schedule(inner)
    reading.layer |= inner.layer
    reading.refusals += inner.refusals
    reading.notes += inner.notes
    reading.made_of |= inner.made_of


def _read_data(reading: Reading) -> None:
    local = reading.value("data.local_dataset")
    files = as_list(local)
    hub = reading.value("data.dataset") or reading.value("dataset_name")
    if files:
        reading.set("data.train_files", [local_name(str(file), reading.folder) for file in files], "data.local_dataset")
    elif hub:
        split = str(reading.value("data.train_split", "train"))
        key = "data.dataset" if reading.value("data.dataset") else "dataset_name"
        reading.set("data.train_files", [rows_at(str(hub), reading.folder, split=split)], key, "data.train_split")
    held_out = reading.value("data.local_eval_dataset")
    if held_out:
        names_here = [local_name(str(file), reading.folder) for file in as_list(held_out)]
        reading.set("data.eval_files", names_here, "data.local_eval_dataset")
    elif hub and reading.value("data.eval_split"):
        held_out = rows_at(str(hub), reading.folder, split=str(reading.value("data.eval_split")))
        reading.set("data.eval_files", [held_out], "data.eval_split")
    trainer.read_held_out(reading, is_split=bool(held_out))
    if held_out and "training.eval_strategy" not in reading.entries:
        reading.set("training.eval_strategy", "steps", "data.local_eval_dataset", "data.eval_split")
    mapping = reading.value("data.custom_format_mapping")
    if mapping not in OFF:
        reading.refuse("data.custom_format_mapping", "name the fields of the rows", "data.field_map")
