"""Axolotl's recipes: one flat YAML file with a list of data sets."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers import trainer_keys as trainer
from tunelab.recipes.peers.axolotl_datasets import read_data_sets
from tunelab.recipes.peers.key import Key, NoTwinError, differs, joined, noted, read, refused, refused_unless, words
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import (
    ADAMW,
    SMALLER_ADAMW,
    as_list,
    is_on,
    names,
    reversed_switch,
    share,
    strategy,
    switched,
)

NAME = "Axolotl"
PAGE = "axolotl"
SIGNS = words(
    "adapter micro_batch_size sequence_len val_set_size sample_packing lora_target_linear "
    "dataset_prepared_path lora_model_dir train_on_inputs pad_to_sequence_len flash_attention test_datasets"
)

_SPEED = "changes speed or memory alone"
_TOKENS = "the model and its tokenizer stay as they are"
_TRACKER = "each run writes events.jsonl; other trackers are not available yet"
_NO_RL = "training is supervised fine-tuning"
_WARMUP = 0.03
"""Share of all steps, of a file that says nothing."""
_FAST_PLUGINS = ("liger", "cut_cross_entropy")


def _long(value: object) -> str:
    if value not in ("drop", "truncate", "raise"):
        raise NoTwinError("expected drop, truncate or raise")
    return {"drop": "drop", "truncate": "cut", "raise": "refuse"}[str(value)]


_TRAINER = [
    key
    for key in trainer.KEYS
    if key.name
    not in (
        "bf16",
        "lr_scheduler_type",
        "optim",
        "trust_remote_code",
        "group_by_length",
        "deepspeed",
        "liger_kernel_config",
        "fsdp_config",
    )
    and not key.name.startswith(("per_device", "num_train", "evaluation_strategy", "hub_"))
]

KEYS: tuple[Key, ...] = (
    read("base_model", "model.base_model"),
    read("revision_of_model", "model.revision"),
    joined("adapter", "lora", "lora and qlora are the sections of these names, none is full"),
    joined("load_in_4bit", "qlora.quantization", "nf4, in the section qlora"),
    joined("load_in_8bit", "qlora.quantization", "int8, in the section qlora"),
    read("lora_r", "lora.r"),
    read("lora_alpha", "lora.lora_alpha"),
    read("lora_dropout", "lora.lora_dropout"),
    read("lora_target_modules", "lora.target_modules", names),
    joined("lora_target_linear", "lora.target_modules", "true is all-linear, besides lora_target_modules"),
    read("lora_modules_to_save", "lora.modules_to_save", names),
    read("peft_use_dora", "lora.use_dora", switched),
    read("peft_use_rslora", "lora.use_rslora", switched),
    read("peft_layers_to_transform", "lora.layers_to_transform"),
    read("peft_init_lora_weights", "lora.init_lora_weights"),
    read("loraplus_lr_ratio", "lora.loraplus_lr_ratio"),
    joined("datasets", "data.train_files", "paths with their type, field maps and roles"),
    joined("test_datasets", "data.eval_files"),
    read("val_set_size", "data.eval_fraction", share, "a share; a number of rows has no twin"),
    read("sequence_len", "data.max_length"),
    read("excess_length_strategy", "data.on_too_long", _long, "drop, truncate (cut) or raise (refuse)"),
    read("sample_packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    read("chat_template_jinja", "data.chat_template", word="a file; a template in the recipe has to be put into one"),
    read("micro_batch_size", "training.per_device_train_batch_size"),
    read("eval_batch_size", "training.per_device_eval_batch_size"),
    joined("batch_size", "training.gradient_accumulation_steps", "batch_size / micro_batch_size"),
    read("num_epochs", "training.num_train_epochs"),
    joined("lr_scheduler", "training.lr_scheduler_type", "linear, cosine and constant, with warm-up or without"),
    read("early_stopping_patience", "training.early_stopping_patience"),
    joined("evals_per_epoch", "training.eval_strategy", "1 is epoch"),
    joined("bf16", "training.bf16", "auto is true"),
    joined("bfloat16", "training.bf16"),
    read("float16", "training.fp16", switched),
    *refused("the optimizer is AdamW, with moments in float32", "optimizer", off=ADAMW, near=SMALLER_ADAMW),
    *refused("loss falls on answers only", "train_on_inputs"),
    *refused("schedules have no arguments", "cosine_min_lr_ratio cosine_constant_lr_ratio lr_div_factor",
             "training.lr_scheduler_type"),
    *refused("training begins with a new adapter", "lora_model_dir"),
    *refused("a system prompt here replaces those of the rows", "default_system_message", "data.system_prompt"),
    *refused(_TOKENS, "tokenizer_config tokens added_tokens_overrides special_tokens.bos_token "
             "special_tokens.eos_token special_tokens.unk_token special_tokens.additional_special_tokens "
             "resize_token_embeddings_to_32x overrides_of_model_config rope_scaling fix_untrained_tokens"),
    *refused("the layers that are trained are those of the adapter", "unfrozen_parameters lisa_* relora_* "
             "lora_fan_in_fan_out lora_on_cpu_only peft.loftq_config peft_layer_replication lora_target_parameters"),
    *refused(_NO_RL, "rl reward_model process_reward_model pretraining_dataset trl vllm qat"),
    *refused("batches come in the order of batching.order", "curriculum_sampling", "batching.order"),
    *refused("positions are those of the sequence", "use_pose pose_*"),
    *refused("the loss is the mean over trained tokens", "eaft_alpha use_eaft use_dynamic_finetuning"),
    joined("plugins", "", "plugins are not run; those that change speed alone are left out"),
    *differs("rows are rendered by the model's own chat template", "chat_template", "data.chat_template"),
    *differs("measured as training.eval_strategy says", "eval_table_size", "evaluation.num_examples"),
    *noted("the end token is the one of the chat template", "eot_tokens"),
    *refused_unless("the end token of each answer is trained", "train_on_eos", done=("turn",)),
    *noted("no token is padded", "special_tokens.pad_token pad_to_sequence_len eval_sample_packing group_by_length "
           "sample_packing_* multipack_real_batches batch_flattening"),
    *noted("rows are rendered anew if data, tokenizer or template changed",
           "dataset_prepared_path dataset_processes dataset_num_proc dataset_keep_in_memory skip_prepare_dataset "
           "shuffle_merged_datasets push_dataset_to_hub streaming"),
    *noted("a model's config.json says what it is", "model_type tokenizer_type tokenizer_use_fast "
           "tokenizer_legacy is_*_derived_model base_model_config base_model_ignore_patterns trust_remote_code "
           "processor_type"),
    *noted(_SPEED, "*_attention flash_attn_* lora_mlp_kernel lora_qkv_kernel lora_o_kernel "
           "unsloth_* liger_* cut_cross_entropy scaling_softmax low_cpu_mem_usage max_memory gpu_memory_limit "
           "lora_model_dir_* embeddings_skip_upcast gc_steps tiled_mlp* chunked_cross_entropy* device_map "
           "use_kernels flex_attn_compile_kwargs"),
    *noted("several processes are started by torchrun", "deepspeed fsdp fsdp_version fsdp_config* "
           "fsdp_final_state_dict_type context_parallel_size tensor_parallel_size dp_shard_size "
           "dp_replicate_size sequence_parallel_degree ddp world_size", "training.fsdp"),
    *noted("held-out loss and early stopping watch over a run", "loss_watchdog_threshold loss_watchdog_patience",
           "training.early_stopping_patience"),
    *noted("checkpoints come every save_steps steps", "saves_per_epoch save_first_step", "training.save_steps"),
    *noted("a run is resumed on the command line: tunelab train RECIPE --resume", "auto_resume_from_checkpoints"),
    *noted("held-out rows are answered by tunelab compare", "eval_max_new_tokens eval_causal_lm_metrics "
           "do_causal_lm_eval do_bench_eval bench_dataset bench_split", "evaluation.max_new_tokens"),
    *noted(_TRACKER, "wandb_* mlflow_* comet_* swanlab_* use_tensorboard use_wandb use_mlflow use_comet profiler_steps "
           "gradio_* debug strict"),
    *noted("nothing is uploaded", "hub_* hf_use_auth_token"),
    *differs("rows of any length are trained", "min_sample_len"),
    *differs("rows are dropped by rules of their own", "dataset_exact_deduplication", "data.cleaning.drop_duplicates"),
    *_TRAINER,
)  # fmt: skip

DEFAULTS: dict[str, Any] = trainer.DEFAULTS | {
    "training.num_train_epochs": 1.0,
    "training.per_device_train_batch_size": 1,
    "data.max_length": 512,
    "data.on_too_long": "drop",
}


def finish(reading: Reading) -> None:
    """Set what several keys decide together."""
    _choose_method(reading)
    if is_on(reading.value("lora_target_linear", False)):
        named = reading.layer.get("lora.target_modules")
        more = named.value if named and isinstance(named.value, list) else []
        keys = ("lora_target_linear", *(("lora_target_modules",) if more else ()))
        reading.set("lora.target_modules", ["all-linear", *more] if more else "all-linear", *keys)
    for key in ("bf16", "bfloat16"):
        if (given := reading.value(key)) is not None and (given == "auto" or is_on(given)):
            reading.set("training.bf16", True, key)
    _accumulate(reading)
    trainer.read_schedule(reading, name="lr_scheduler", default="cosine", warmup=_WARMUP)
    read_data_sets(reading)
    _hold_out(reading)
    if others := [
        each for each in as_list(reading.value("plugins")) if not any(word in str(each) for word in _FAST_PLUGINS)
    ]:
        reading.refuse("plugins", f"plugins are not run ({', '.join(map(str, others))})")


def _choose_method(reading: Reading) -> None:
    adapter, packed = reading.value("adapter"), "load_in_4bit" if is_on(reading.value("load_in_4bit")) else ""
    packed = packed or ("load_in_8bit" if is_on(reading.value("load_in_8bit")) else "")
    if adapter not in (None, "lora", "qlora"):
        reading.refuse("adapter", "adapters are lora and qlora, and without one all weights are trained", "lora")
    elif adapter is None and packed:
        reading.refuse(packed, "a packed base cannot be trained whole", "qlora.quantization")
    elif adapter == "qlora" and packed != "load_in_4bit":
        reading.refuse("adapter", "qlora needs load_in_4bit: true", "qlora.quantization")
    elif packed:
        reading.method = "qlora"
        reading.set("qlora.quantization", "nf4" if packed == "load_in_4bit" else "int8", packed)
    else:
        reading.method = "lora" if adapter else "full"
    reading.obey("adapter")


def _accumulate(reading: Reading) -> None:
    total, micro = reading.value("batch_size"), reading.value("micro_batch_size")
    if total is None or "gradient_accumulation_steps" in reading.entries:
        return
    if not (isinstance(total, int) and isinstance(micro, int) and micro > 0 and total % micro == 0):
        reading.refuse("batch_size", "it is no multiple of micro_batch_size", "training.gradient_accumulation_steps")
        return
    reading.set("training.gradient_accumulation_steps", total // micro, "batch_size")


def _hold_out(reading: Reading) -> None:
    is_split = bool(reading.value("val_set_size")) or reading.value("test_datasets") is not None
    times = reading.value("evals_per_epoch")
    if is_split and not any(reading.value(key) for key in ("eval_steps", "eval_strategy")):
        reading.set("training.eval_strategy", strategy("epoch"), "evals_per_epoch")
        if times not in (None, 1):
            text = f"evals_per_epoch {times}: held-out loss is measured once an epoch; training.eval_strategy: steps "
            reading.note(f"{text}and training.eval_steps measure it more often.", about="training.eval_strategy")
    elif reading.value("eval_steps") and not reading.value("eval_strategy"):
        reading.set("training.eval_strategy", "steps", "eval_steps")
    trainer.read_held_out(reading, is_split=is_split)
