"""The keys of transformers' Trainer, which LLaMA-Factory, TRL and Unsloth share."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers.key import LEFT, Key, NoTwinError, joined, noted, read, refused
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import ADAMW, SMALLER_ADAMW, interval, is_on, scheduler, steps, strategy, switched

_SPEED = "changes speed or memory alone"
LOADER = "there is no loader process: rows are rendered once, before training"
_TRACKER = "each run writes events.jsonl; other trackers are not available yet"
_HUB = "nothing is uploaded"
_CHECKPOINTS = "checkpoints are whole, and the best one is kept"
_RANKS = "several processes are started by torchrun"
_SAME = ("output_dir num_train_epochs per_device_train_batch_size per_device_eval_batch_size learning_rate "
         "weight_decay gradient_accumulation_steps adam_beta1 adam_beta2 adam_epsilon max_grad_norm seed eval_delay "
         "eval_accumulation_steps save_total_limit")  # fmt: skip
_SWITCHES = "gradient_checkpointing load_best_model_at_end fp16"

KEYS: tuple[Key, ...] = (
    *(read(name, f"training.{name}") for name in _SAME.split()),
    *(read(name, f"training.{name}", switched) for name in _SWITCHES.split()),
    read("bf16", "training.bf16", lambda value: value == "auto" or switched(value), "auto is true"),
    read("max_steps", "training.num_training_steps", steps, "0 and -1 are none"),
    joined("lr_scheduler_type", "training.lr_scheduler_type", "linear, cosine and constant, with warm-up or without"),
    joined("warmup_steps", "training.num_warmup_steps", "below 1, a share of all steps"),
    joined("warmup_ratio", "training.num_warmup_steps", "a share of all steps"),
    read("eval_strategy", "training.eval_strategy", strategy),
    read("evaluation_strategy", "training.eval_strategy", strategy),
    read("eval_steps", "training.eval_steps", interval),
    read("save_steps", "training.save_steps", interval),
    read("logging_steps", "training.logging_steps", interval),
    read("use_cpu", "model.device_map", lambda value: "cpu" if switched(value) else LEFT, "true is cpu"),
    *refused("the optimizer is AdamW, with moments in float32", "optim", off=ADAMW, near=SMALLER_ADAMW),
    *refused("the best adapter is the one with the lowest held-out loss", "metric_for_best_model greater_is_better",
             "training.load_best_model_at_end", off=("loss", "eval_loss")),
    *refused("noise on the embeddings is not available", "neftune_noise_alpha"),
    *refused("label smoothing is not available", "label_smoothing_factor"),
    *refused("schedules have no arguments", "lr_scheduler_kwargs", "training.lr_scheduler_type"),
    *refused("the optimizer is AdamW over all weights that are trained", "optim_args optim_target_modules"),
    *noted("nothing here draws from another seed", "data_seed", "training.seed"),
    *noted("runs repeat to the byte", "full_determinism"),
    *noted("steps are cut to fit the memory", "auto_find_batch_size", "batching.micro_batch_tokens"),
    *noted("sequences are not padded, so that their order by length saves nothing",
           "group_by_length length_column_name train_sampling_strategy", "batching.order"),
    *noted(_SPEED, "torch_compile torch_compile_* use_liger_kernel liger_kernel_config tf32 use_cache "
           "gradient_checkpointing_kwargs activation_checkpointing* torch_empty_cache_steps activation_offloading "
           "bf16_full_eval fp16_full_eval attn_implementation include_num_input_tokens_seen include_tokens_per_second "
           "include_effective_tokens_per_second eval_do_concat_batches batch_eval_metrics prediction_loss_only "
           "use_reentrant_gc"),
    *noted(LOADER, "dataloader_num_workers dataloader_* remove_unused_columns"),
    *noted(_TRACKER, "report_to run_name project trackio_* logging_dir logging_strategy logging_first_step "
           "logging_nan_inf_filter log_level* log_on_each_node disable_tqdm skip_memory_metrics"),
    *noted(_HUB, "push_to_hub* hub_*"),
    *noted(_CHECKPOINTS, "save_only_model save_safetensors save_on_each_node save_strategy enable_jit_checkpoint"),
    *noted("a run's folder is never overwritten", "overwrite_output_dir"),
    *noted(_RANKS, "ddp_* local_rank accelerator_config parallelism_config fsdp_config deepspeed", "training.fsdp"),
    *noted("the loss is divided by all trained tokens of a step", "average_tokens_across_devices"),
    *noted("a run is resumed on the command line: tunelab train RECIPE --resume",
           "resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint"),
    *noted("training and its held-out loss are tunelab train", "do_train do_eval eval_on_start",
           "training.eval_strategy"),
    joined("do_predict", "", "held-out rows are answered by tunelab compare"),
    *noted("code that comes with a model is never run", "trust_remote_code"),
)  # fmt: skip

DEFAULTS: dict[str, Any] = {
    "training.num_train_epochs": 3.0,
    "training.adam_beta2": 0.999,
    "training.eval_strategy": "no",
    "training.early_stopping_patience": None,
    "training.load_best_model_at_end": False,
}
"""What the Trainer does if a file says nothing, where that is not what is done here; rates differ between tools."""


def read_schedule(
    reading: Reading, *, name: str = "lr_scheduler_type", default: str = "linear", warmup: float = 0
) -> None:
    """Set the learning-rate schedule, which is one of ours with its warm-up; `warmup` is the tool's default."""
    key = "warmup_steps" if reading.value("warmup_steps") else "warmup_ratio"
    is_said = any(reading.value(each) is not None for each in ("warmup_steps", "warmup_ratio"))
    given = (reading.value(key) or 0) if is_said else warmup
    if key == "warmup_ratio" and given in (1, True):
        reading.refuse(key, "a run of warm-up alone", "training.num_warmup_steps")
        return
    try:
        chosen = scheduler(reading.value(name, default), given)
    except NoTwinError as error:
        reading.refuse(name, str(error), "training.lr_scheduler_type")
        return
    keys = [name] if reading.value(name) else [key] if given and is_said else []
    reading.set("training.lr_scheduler_type", chosen, *keys)
    if chosen.endswith("_with_warmup"):
        reading.set("training.num_warmup_steps", given, key)
    elif given and is_said:
        reading.note(
            f"{key} has no effect: {chosen} has no warm-up; constant_with_warmup has.",
            about="training.lr_scheduler_type",
        )


def refuse_no_training(reading: Reading) -> None:
    """Refuse a file that evaluates a model without training one."""
    train = reading.entries.get("do_train")
    if train is not None and train.value is False:
        reading.refuse("do_train", "this file trains nothing; held-out rows are answered by tunelab compare")
    elif is_on(reading.value("do_predict")) and train is None:
        reading.refuse("do_predict", "this file trains nothing; held-out rows are answered by tunelab compare")


def read_held_out(reading: Reading, *, is_split: bool) -> None:
    """Hold out no rows if the file names none, and measure nothing on them then."""
    if not is_split:
        reading.set("data.eval_fraction", 0.0)
        reading.set("training.eval_strategy", "no")
