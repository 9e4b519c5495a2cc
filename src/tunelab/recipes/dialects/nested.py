"""The nested dialect: `model_name`, `lora_config`, `training_config`; canonical sections may be used with them."""

from __future__ import annotations

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipes.recipe import SECTIONS
from tunelab.recipes.unknown_keys import check_key
from tunelab.recipes.yaml_document import Entry, Faults, Layer, Note, Setting, YamlDocument

_OWN = ("model_name", "lora_config", "training_config")

_TRAINING = {
    "batch_size": "training.per_device_train_batch_size",
    "num_epochs": "training.num_train_epochs",
    "warmup_steps": "training.num_warmup_steps",
    "max_seq_length": "data.max_length",
}


def speaks(names: frozenset[str]) -> bool:
    """Return whether the file is written in this dialect."""
    return any(name in names for name in _OWN)


def read(document: YamlDocument, faults: Faults) -> tuple[str, Layer, list[Note]]:
    """Return the dialect's name, the canonical settings, and what to say of them."""
    layer: Layer = {}
    notes: list[Note] = []
    for entry in document.entries():
        with faults.noted():
            if entry.dotted == "lora_config.task_type":
                if entry.value != "CAUSAL_LM":
                    raise RecipeError(f"task_type is {entry.value}", where=entry.where, expected="CAUSAL_LM")
                continue
            dotted = _canonical_key(entry)
            source = entry.where if dotted == entry.dotted else f"{entry.where} ({entry.dotted})"
            layer[dotted] = Setting(value=entry.value, source=source)
    warmup = layer.get("training.num_warmup_steps")
    if warmup is not None and warmup.value and "training.lr_scheduler_type" not in layer:
        layer["training.lr_scheduler_type"] = Setting(value="linear_with_warmup", source=warmup.source)
        text = "warmup_steps is set and no scheduler is named: linear_with_warmup is used."
        notes.append(Note(about="training.lr_scheduler_type", text=text))
    return "nested", layer, notes


def _canonical_key(entry: Entry) -> str:
    if entry.dotted == "model_name":
        return "model.base_model"
    if entry.section == "training_config":
        dotted = _TRAINING.get(entry.key, f"training.{entry.key}")
    elif entry.section == "lora_config":
        dotted = f"lora.{entry.key}"
    elif entry.dotted in ("lora_config", "training_config") and not entry.value:
        dotted = entry.key.removesuffix("_config")
    elif (entry.section or entry.key) in SECTIONS:
        dotted = entry.dotted
    else:
        remedy = did_you_mean(entry.section or entry.key, [*_OWN, *SECTIONS])
        raise RecipeError(f'there is no section "{entry.section or entry.key}"', where=entry.where, remedy=remedy)
    check_key(dotted, entry.where)
    return dotted
