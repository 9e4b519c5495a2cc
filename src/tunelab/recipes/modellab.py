"""The flat dialect of ModelLab: `lora.yaml` and `soft_prompt.yaml`, every key honoured.

Keys that a file leaves out take the values that the Phi Silica documents state, not those of ModelLab's template: the
two disagree, and the documents are what a reader of such a file has at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipes.document import Entry, Layer, Note, Setting
from tunelab.recipes.keys import kinds

_SHARED: dict[str, str] = {
    "model": "model.base_model",
    "finetune_dataset": "data.train_files",
    "save_dir": "training.output_dir",
    "system_prompt": "data.system_prompt",
    "varied_seqlen": "batching.varied_seqlen",
    "finetune_train_nsamples": "data.train_samples",
    "finetune_test_nsamples": "data.eval_samples",
    "finetune_train_batch_size": "training.per_device_train_batch_size",
    "finetune_test_batch_size": "training.per_device_eval_batch_size",
    "finetune_train_seqlen": "data.max_length",
    "finetune_test_seqlen": "data.eval_max_length",
    "early_stopping_patience": "training.early_stopping_patience",
    "epochs": "training.num_train_epochs",
    "eval_steps": "training.eval_steps",
    "save_steps": "training.save_steps",
    "learning_rate": "training.learning_rate",
    "lr_scheduler_type": "training.lr_scheduler_type",
    "num_warmup_steps": "training.num_warmup_steps",
    "seed": "training.seed",
    "evaluation_strategy": "training.eval_strategy",
    "eval_strategy": "training.eval_strategy",
    "adam_beta1": "training.adam_beta1",
    "adam_beta2": "training.adam_beta2",
    "adam_epsilon": "training.adam_epsilon",
    "num_training_steps": "training.num_training_steps",
    "gradient_accumulation_steps": "training.gradient_accumulation_steps",
    "eval_accumulation_steps": "training.eval_accumulation_steps",
    "eval_delay": "training.eval_delay",
    "weight_decay": "training.weight_decay",
    "max_grad_norm": "training.max_grad_norm",
    "gradient_checkpointing": "training.gradient_checkpointing",
    "compare_enabled": "evaluation.compare",
    "compare_file": "evaluation.compare_file",
    "compare_temperature": "evaluation.temperature",
}
_LORA = {
    "lora_dropout": "lora.lora_dropout",
    "lora_r": "lora.r",
    "lora_alpha": "lora.lora_alpha",
    "target_modules": "lora.target_modules",
}
_SOFT_PROMPT = {
    "init_prompt": "soft_prompt.init_prompt",
    "number_of_virtual_tokens": "soft_prompt.number_of_virtual_tokens",
    "max_input_size": "data.max_length",
}
_PATHS = ("finetune_dataset", "save_dir", "compare_file")
_HANDLED_APART = ("model_path", "skip_finetune", "adapter_path")
_KEYS = {**_SHARED, **_LORA, **_SOFT_PROMPT}

_DEFAULTS_LORA: dict[str, Any] = {
    "finetune_dataset": "wikitext2",
    "varied_seqlen": False,
    "finetune_train_nsamples": 4096,
    "finetune_test_nsamples": 128,
    "finetune_train_batch_size": 4,
    "finetune_test_batch_size": 8,
    "finetune_train_seqlen": 2048,
    "finetune_test_seqlen": 2048,
    "early_stopping_patience": 5,
    "epochs": 1,
    "eval_steps": 64,
    "save_steps": 64,
    "learning_rate": 2e-4,
    "lr_scheduler_type": "linear",
    "num_warmup_steps": 400,
    "seed": 42,
    "evaluation_strategy": "steps",
    "lora_dropout": 0.1,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-8,
    "gradient_accumulation_steps": 1,
    "eval_delay": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
}
_DEFAULTS_SOFT_PROMPT: dict[str, Any] = {
    "max_input_size": 2048,
    "number_of_virtual_tokens": 64,
    "learning_rate": 3e-5,
    "early_stopping_patience": 5,
    "epochs": 1,
    "evaluation_strategy": "steps",
    "eval_steps": 8,
    "save_steps": 64,
    "seed": 42,
    "finetune_train_batch_size": 2,
    "finetune_test_batch_size": 2,
}
_TEMPLATE_LORA = {
    "finetune_train_nsamples": 8000,
    "finetune_train_batch_size": 2,
    "finetune_train_seqlen": 1024,
    "lr_scheduler_type": "linear_with_warmup",
}
"""Where the template that ModelLab writes differs from its documents."""

_FORM_RANGES = {
    "learning_rate": (1e-4, 1e-2),
    "epochs": (1, 100),
    "early_stopping_patience": (1, 100),
    "gradient_accumulation_steps": (1, 128),
    "weight_decay": (0, 1),
    "lora_dropout": (0, 0.5),
    "adam_beta1": (0.9, 0.99),
    "adam_beta2": (0.9, 0.999),
    "adam_epsilon": (1e-9, 1e-6),
    "num_warmup_steps": (0, 10000),
}
"""What ModelLab's own form lets a user enter; its soft prompt template breaks it."""

_PRIVATE_MODEL = "Phi-3.6-mini-instruct"
_MOUNT = re.compile(r"/?mount/<[^<>/]+>/")


def speaks(entries: Sequence[Entry]) -> bool:
    """Return whether the file is written in this dialect: flat, with a key of ModelLab's among its own."""
    return not any(entry.section for entry in entries) and any(
        entry.key in _KEYS or entry.key in _HANDLED_APART for entry in entries
    )


def read(entries: Sequence[Entry], path: Path) -> tuple[str, Layer, list[Note]]:
    """Return the dialect's name, the canonical settings, and what to say of them."""
    given = {entry.key: entry for entry in entries}
    soft_prompt = path.stem == "soft_prompt" or any(key in given for key in _SOFT_PROMPT)
    keys = _SHARED | (_SOFT_PROMPT if soft_prompt else _LORA)
    for entry in entries:
        if entry.key not in keys and entry.key not in _HANDLED_APART:
            remedy = did_you_mean(entry.key, [*keys, *_HANDLED_APART])
            raise RecipeError(f'ModelLab has no key "{entry.key}"', where=entry.where, remedy=remedy)
    _refuse_no_training(given)

    defaults = _DEFAULTS_SOFT_PROMPT if soft_prompt else _DEFAULTS_LORA
    layer = {keys[key]: Setting(value=value, source="ModelLab default") for key, value in defaults.items()}
    for entry in entries:
        if entry.key not in keys or (entry.value is None and type(None) not in kinds(keys[entry.key])):
            continue
        value = _local(entry, path.parent) if entry.key in _PATHS else entry.value
        if value is not None or entry.key not in _PATHS:
            layer[keys[entry.key]] = Setting(value=value, source=_source(entry))
    _choose_model(given, layer, path.parent)
    notes = [*_disagreements(given, soft_prompt), *_oddities(given, layer, path.parent)]
    return f"ModelLab {'soft prompt' if soft_prompt else 'LoRA'}", layer, notes


def _refuse_no_training(given: Mapping[str, Entry]) -> None:
    entry = given.get("skip_finetune")
    if entry is not None and entry.value not in (False, None):
        what = "skip_finetune asks to compare an adapter without training one"
        remedy = "Run tunelab compare RUN on the run that made the adapter, or set skip_finetune to false to train."
        raise RecipeError(what, where=entry.where, remedy=remedy)


def _source(entry: Entry) -> str:
    return f"{entry.where} (ModelLab {entry.key})"


def _local(entry: Entry, folder: Path) -> Any:
    """Return a path of the container as a name beside the file; None where a placeholder is left in it."""
    if not isinstance(entry.value, str) or (folder / entry.value).exists():
        return entry.value
    name = _MOUNT.sub("", entry.value, count=1)
    if "<" in name or (entry.key == "save_dir" and name != entry.value):
        return None
    return name


def _choose_model(given: Mapping[str, Entry], layer: Layer, folder: Path) -> None:
    """Prefer the folder that `model_path` names; ModelLab's container has one, a laptop often has not."""
    entry = given.get("model_path")
    if entry is None or not isinstance(entry.value, str) or not entry.value:
        return
    if (folder / entry.value).is_dir() or "model.base_model" not in layer:
        layer["model.base_model"] = Setting(value=entry.value, source=_source(entry))


def _disagreements(given: Mapping[str, Entry], soft_prompt: bool) -> Iterator[Note]:
    for key, template in ({} if soft_prompt else _TEMPLATE_LORA).items():
        if key not in given:
            stated = _DEFAULTS_LORA[key]
            text = (
                f"{key} is not set: ModelLab's documents say {stated}, its template says {template}; {stated} is used."
            )
            yield Note(about=_KEYS[key], text=text)


def _oddities(given: Mapping[str, Entry], layer: Layer, folder: Path) -> Iterator[Note]:
    for key, (low, high) in _FORM_RANGES.items():
        entry = given.get(key)
        if entry is not None and isinstance(entry.value, int | float) and not low <= entry.value <= high:
            text = (
                f"{entry.where}: {key} {entry.value:g} is outside ModelLab's own form ({low:g} to {high:g}), and used."
            )
            yield Note(about=_KEYS[key], text=text)
    if entry := given.get("evaluation_strategy"):
        yield Note(
            about=_KEYS[entry.key], text=f"{entry.where}: evaluation_strategy is read as training.eval_strategy."
        )
    if (entry := given.get("model")) and layer["model.base_model"].value == _PRIVATE_MODEL:
        text = f"{entry.where}: {_PRIVATE_MODEL} is not public. Name a model you have: --set model.base_model=nano"
        yield Note(about="model.base_model", text=text)
    if (entry := given.get("adapter_path")) and entry.value:
        yield Note(about="", text=f"{entry.where}: adapter_path is read only with skip_finetune, which is off.")
    if (entry := given.get("compare_file")) and entry.value and _local(entry, folder) is None:
        text = f"{entry.where}: compare_file is still a placeholder; held-out rows are compared."
        yield Note(about="evaluation.compare_file", text=text)
