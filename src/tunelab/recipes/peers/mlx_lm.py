"""mlx-lm's recipes: one YAML file with a mapping for LoRA and one for the learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

from tunelab.files import expanded
from tunelab.models.estimate import sizes_in
from tunelab.recipes.peers.data_names import local_name, rows_at
from tunelab.recipes.peers.key import Key, joined, noted, read, refused, words
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import is_on, switched

NAME = "mlx-lm"
PAGE = "mlx-lm"
SIGNS = words(
    "fine_tune_type iters lora_parameters.rank lora_parameters.scale num_layers lora_layers mask_prompt "
    "steps_per_eval steps_per_report save_every grad_checkpoint val_batches test_batches"
)

_SCHEDULE = "lr_schedule: cosine_decay to 0 over all steps after the warm-up is cosine"

KEYS: tuple[Key, ...] = (
    read("model", "model.base_model"),
    joined("fine_tune_type", "lora", "lora and dora are the section lora, full the section full"),
    joined("data", "data.train_files", "a folder with train.jsonl and valid.jsonl, or a data set on the Hub"),
    read("seed", "training.seed"),
    joined("num_layers", "lora.layers_to_transform", "the last ones of the model; -1 is all of them"),
    joined("lora_layers", "lora.layers_to_transform", "the last ones of the model; -1 is all of them"),
    read("lora_parameters.rank", "lora.r"),
    joined("lora_parameters.scale", "lora.lora_alpha", "scale × rank: an update is multiplied by scale itself"),
    read("lora_parameters.dropout", "lora.lora_dropout"),
    read("lora_parameters.keys", "lora.target_modules", word="all linear layers if there are none"),
    *noted("mlx-lm does not read it", "lora_parameters.alpha"),
    read("batch_size", "training.per_device_train_batch_size"),
    joined("iters", "training.num_training_steps", "iters / grad_accumulation_steps"),
    read("grad_accumulation_steps", "training.gradient_accumulation_steps"),
    read("learning_rate", "training.learning_rate"),
    joined("lr_schedule", "training.lr_scheduler_type", _SCHEDULE),
    joined("optimizer", "training.adam_beta1", "adam and adamw"),
    joined("optimizer_config", "training.adam_beta1", "betas, eps and weight_decay"),
    read("max_seq_length", "data.max_length"),
    joined("mask_prompt", "", "loss falls on answers only, as with true"),
    joined("steps_per_eval", "training.eval_steps", "steps_per_eval / grad_accumulation_steps"),
    joined("save_every", "training.save_steps", "save_every / grad_accumulation_steps"),
    joined("steps_per_report", "training.logging_steps", "steps_per_report / grad_accumulation_steps"),
    read("grad_checkpoint", "training.gradient_checkpointing", switched),
    read("adapter_path", "training.output_dir"),
    *refused("training begins with a new adapter", "resume_adapter_file"),
    *refused("training is supervised fine-tuning", "training_mode", off=("normal", "sft")),
    *refused("a data set on the Hub is read by its splits", "hf_dataset", "data.train_files"),
    *noted("all held-out rows are measured", "val_batches test_batches test"),
    *noted("training is tunelab train", "train"),
    *noted("each run writes events.jsonl; other trackers are not available yet", "wandb report_to project_name"),
    *noted("a setting of the command line", "config"),
)  # fmt: skip

DEFAULTS: dict[str, Any] = {
    "training.learning_rate": 1e-5,
    "training.lr_scheduler_type": "constant",
    "training.num_training_steps": 1000,
    "training.per_device_train_batch_size": 4,
    "training.adam_beta2": 0.999,
    "training.max_grad_norm": 0,
    "training.eval_strategy": "steps",
    "training.eval_steps": 200,
    "training.save_steps": 100,
    "training.early_stopping_patience": None,
    "training.load_best_model_at_end": False,
    "training.logging_steps": 10,
    "training.seed": 0,
    "data.max_length": 2048,
    "lora.r": 8,
    "lora.lora_alpha": 160.0,
}

_RANK, _SCALE, _LAYERS, _ITERS = 8, 20.0, 16, 1000


def finish(reading: Reading) -> None:
    """Set what several keys decide together."""
    if "train" in reading.entries and reading.value("train") is False:
        reading.refuse("train", "this file trains nothing; held-out rows are answered by tunelab compare")
    kind = reading.value("fine_tune_type", "lora")
    if kind not in ("lora", "dora", "full"):
        reading.refuse("fine_tune_type", "expected lora, dora or full", "lora")
    reading.method = "full" if kind == "full" else "lora"
    reading.obey("fine_tune_type")
    if kind == "dora":
        reading.set("lora.use_dora", True, "fine_tune_type")
    _scale(reading)
    _choose_layers(reading)
    _count_steps(reading)
    _read_optimizer(reading)
    _read_schedule(reading)
    _read_data(reading)
    if is_on(reading.value("mask_prompt")):
        reading.obey("mask_prompt")
    else:
        reading.note("Loss falls on answers only; mlx-lm's falls on prompts, too, unless mask_prompt is true.")


def _scale(reading: Reading) -> None:
    keys = [key for key in ("lora_parameters.scale", "lora_parameters.rank") if key in reading.entries]
    scale, rank = reading.value("lora_parameters.scale", _SCALE), reading.value("lora_parameters.rank", _RANK)
    if keys and not (isinstance(scale, int | float) and isinstance(rank, int)):
        reading.refuse(keys[0], "expected a number", "lora.lora_alpha")
    elif keys:
        reading.set("lora.lora_alpha", float(scale * rank), *keys)


def _choose_layers(reading: Reading) -> None:
    """Set the numbers of the last layers, which only the model itself tells."""
    key = "lora_layers" if "lora_layers" in reading.entries else "num_layers"
    number = reading.value(key, _LAYERS)
    if number == -1:
        reading.obey(key)
        return
    if not isinstance(number, int):
        reading.refuse(key, "expected a number of layers, or -1 for all", "lora.layers_to_transform")
        return
    model = reading.folder / expanded(str(reading.value("model", "mlx_model")))
    sizes = sizes_in(model) if model.is_dir() else None
    if sizes is None:
        why = f"these are the last {number} layers, and {model} is no local model to count them in; -1 trains all"
        if key in reading.entries:
            reading.refuse(key, why, "lora.layers_to_transform")
        else:
            text = "mlx-lm trains the last 16 layers if num_layers is not set; here all are trained."
            reading.note(text, about="lora.layers_to_transform")
    elif number >= sizes.layers:
        reading.obey(key)
    elif reading.method == "full":
        reading.refuse(*_said(reading, key), "full fine-tuning trains all layers", "lora.layers_to_transform")
    else:
        reading.set("lora.layers_to_transform", list(range(sizes.layers - number, sizes.layers)), key)


def _said(reading: Reading, key: str) -> tuple[str]:
    return (key if key in reading.entries else "fine_tune_type",)


def _count_steps(reading: Reading) -> None:
    every = reading.value("grad_accumulation_steps", 1)
    every = every if isinstance(every, int) and every > 0 else 1
    if every > 1:
        text = "grad_accumulation_steps: the loss is the mean over all trained tokens of a step; mlx-lm takes the mean "
        reading.note(f"{text}of the means of its batches.", about="training.gradient_accumulation_steps")
    for key, setting, default in (
        ("iters", "training.num_training_steps", _ITERS),
        ("steps_per_eval", "training.eval_steps", 200),
        ("save_every", "training.save_steps", 100),
        ("steps_per_report", "training.logging_steps", 10),
    ):
        given = reading.value(key, default)
        if not isinstance(given, int):
            reading.refuse(key, "expected a number of iterations", setting)
        elif key in reading.entries or every > 1:
            keys = [each for each in (key, "grad_accumulation_steps") if each in reading.entries]
            reading.set(setting, max(1, given // every), *keys)


def _read_optimizer(reading: Reading) -> None:
    name = str(reading.value("optimizer", "adam")).lower()
    if name not in ("adam", "adamw"):
        reading.refuse("optimizer", "the optimizer is AdamW; Adam is AdamW without weight decay", "training.adam_beta1")
        return
    settings = reading.value("optimizer_config", {})
    own = settings.get(name, {}) if isinstance(settings, dict) else {}
    own = own if isinstance(own, dict) else {}
    reading.obey("optimizer", *(["optimizer_config"] if own or not any(_values(settings)) else []))
    keys = [key for key in ("optimizer_config", "optimizer") if key in reading.entries]
    betas = own.get("betas")
    if isinstance(betas, list) and len(betas) == 2:
        reading.set("training.adam_beta1", betas[0], *keys)
        reading.set("training.adam_beta2", betas[1], *keys)
    if "eps" in own:
        reading.set("training.adam_epsilon", own["eps"], *keys)
    decay = own.get("weight_decay", 0.01 if name == "adamw" else 0.0)
    if decay:
        reading.set("training.weight_decay", decay, *keys)
    if not own.get("bias_correction"):
        text = "AdamW corrects the bias of its moments here; mlx-lm's does so only if bias_correction is true."
        reading.note(text, about="training.adam_beta1")
    if unread := sorted(set(own) - {"betas", "eps", "weight_decay", "bias_correction"}):
        reading.refuse("optimizer_config", f"{', '.join(unread)} of {name} is not read", "training.adam_beta1")


def _values(settings: object) -> list[object]:
    return list(settings.values()) if isinstance(settings, dict) else [settings]


def _read_schedule(reading: Reading) -> None:
    schedule = reading.value("lr_schedule")
    if schedule is None:
        return
    found = _as_cosine(schedule, reading.layer["training.num_training_steps"].value)
    if isinstance(found, str):
        reading.refuse("lr_schedule", found, "training.lr_scheduler_type")
        return
    rate, warmup = found
    reading.set("training.learning_rate", rate, "lr_schedule")
    reading.set("training.lr_scheduler_type", "cosine_with_warmup" if warmup else "cosine", "lr_schedule")
    if warmup:
        reading.set("training.num_warmup_steps", warmup, "lr_schedule")


def _as_cosine(schedule: Any, steps: int) -> tuple[float, int] | str:
    """Return rate and warm-up of a schedule that is our cosine; else why it is not."""
    given = schedule if isinstance(schedule, dict) else {}
    arguments = given.get("arguments")
    if given.get("name") != "cosine_decay" or not isinstance(arguments, list) or len(arguments) < 2:
        return "of mlx's schedules cosine_decay has a twin"
    rate, over, *end = arguments
    warmup = given.get("warmup") or 0
    if (end and end[0]) or given.get("warmup_init"):
        return "the learning rate begins and ends at 0"
    if not (isinstance(over, int) and isinstance(warmup, int) and math.isclose(over + warmup, steps)):
        return f"the learning rate falls to 0 over all {steps} steps: {warmup} of warm-up and {steps - warmup} after it"
    return rate, warmup


def _read_data(reading: Reading) -> None:
    name = str(reading.value("data", "data/"))
    local = local_name(name, reading.folder)
    folder = reading.folder / expanded(local)
    keys = [key for key in ("data",) if key in reading.entries]
    if not folder.is_dir() and (found := rows_at(name, reading.folder)).endswith("[train]"):
        reading.set("data.train_files", [found], *keys)
        reading.set("data.eval_files", [rows_at(name, reading.folder, split="validation")], *keys)
        return
    reading.set("data.data_dir", local, *keys)
    reading.set("data.train_files", ["train.jsonl"], *keys)
    reading.set("data.eval_files", ["valid.jsonl"], *keys)
