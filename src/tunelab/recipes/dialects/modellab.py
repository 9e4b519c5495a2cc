"""The flat dialect of ModelLab: `lora.yaml` and `soft_prompt.yaml`, every key honoured.

Keys that a file leaves out take the values that the Phi Silica documents state, not those of ModelLab's template: the
two disagree, and the documents are what a reader of such a file has at hand.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.files import read_small_file
from tunelab.recipes.keys import kinds, shown
from tunelab.recipes.yaml_document import Entry, Faults, Layer, Note, Setting, YamlDocument
from tunelab.recipes.yaml_file import MAX_RECIPE_BYTES


@dataclass(frozen=True, slots=True)
class _Key:
    """What is known of a key of ModelLab's."""

    setting: str
    """The setting that it becomes."""
    _: KW_ONLY
    lora: Any = None
    """What the documents say of a `lora.yaml` that leaves it out; None if they say nothing, as in the next two."""
    soft_prompt: Any = None
    """The same of a `soft_prompt.yaml`."""
    template: Any = None
    """What the `lora.yaml` says that ModelLab writes, if it differs from the documents."""
    only: str = ""
    """The one method that has it: lora or soft_prompt."""


KEYS = {
    "model": _Key("model.base_model"),
    "model_revision": _Key("model.revision"),
    "finetune_dataset": _Key("data.train_files", lora="wikitext2"),
    "save_dir": _Key("training.output_dir"),
    "system_prompt": _Key("data.system_prompt"),
    "varied_seqlen": _Key("batching.varied_seqlen", lora=False),
    "finetune_train_nsamples": _Key("data.train_samples", lora=4096, template=8000),
    "finetune_test_nsamples": _Key("data.eval_samples", lora=128),
    "finetune_train_batch_size": _Key("training.per_device_train_batch_size", lora=4, soft_prompt=2, template=2),
    "finetune_test_batch_size": _Key("training.per_device_eval_batch_size", lora=8, soft_prompt=2),
    "finetune_train_seqlen": _Key("data.max_length", lora=2048, template=1024),
    "finetune_test_seqlen": _Key("data.eval_max_length", lora=2048),
    "early_stopping_patience": _Key("training.early_stopping_patience", lora=5, soft_prompt=5),
    "epochs": _Key("training.num_train_epochs", lora=1, soft_prompt=1),
    "eval_steps": _Key("training.eval_steps", lora=64, soft_prompt=8),
    "save_steps": _Key("training.save_steps", lora=64, soft_prompt=64),
    "learning_rate": _Key("training.learning_rate", lora=2e-4, soft_prompt=3e-5),
    "lr_scheduler_type": _Key("training.lr_scheduler_type", lora="linear", template="linear_with_warmup"),
    "num_warmup_steps": _Key("training.num_warmup_steps", lora=400),
    "seed": _Key("training.seed", lora=42, soft_prompt=42),
    "evaluation_strategy": _Key("training.eval_strategy", lora="steps", soft_prompt="steps"),
    "eval_strategy": _Key("training.eval_strategy"),
    "adam_beta1": _Key("training.adam_beta1", lora=0.9),
    "adam_beta2": _Key("training.adam_beta2", lora=0.95),
    "adam_epsilon": _Key("training.adam_epsilon", lora=1e-8),
    "num_training_steps": _Key("training.num_training_steps"),
    "gradient_accumulation_steps": _Key("training.gradient_accumulation_steps", lora=1),
    "eval_accumulation_steps": _Key("training.eval_accumulation_steps"),
    "eval_delay": _Key("training.eval_delay", lora=0),
    "weight_decay": _Key("training.weight_decay", lora=0.0),
    "max_grad_norm": _Key("training.max_grad_norm", lora=1.0),
    "gradient_checkpointing": _Key("training.gradient_checkpointing", lora=False),
    "compare_enabled": _Key("evaluation.compare"),
    "compare_file": _Key("evaluation.compare_file"),
    "compare_temperature": _Key("evaluation.temperature"),
    "lora_dropout": _Key("lora.lora_dropout", lora=0.1, only="lora"),
    "lora_r": _Key("lora.r", only="lora"),
    "lora_alpha": _Key("lora.lora_alpha", only="lora"),
    "target_modules": _Key("lora.target_modules", only="lora"),
    "init_prompt": _Key("soft_prompt.init_prompt", only="soft_prompt"),
    "number_of_virtual_tokens": _Key("soft_prompt.number_of_virtual_tokens", soft_prompt=64, only="soft_prompt"),
    "max_input_size": _Key("data.max_length", soft_prompt=2048, only="soft_prompt"),
}
"""Every key of both files."""
_PATHS = ("finetune_dataset", "save_dir", "compare_file")
_HANDLED_APART = ("model_path", "skip_finetune", "adapter_path", "trust_remote_code")

TITLES = {"lora": "ModelLab LoRA", "soft_prompt": "ModelLab soft prompt"}
"""Method -> the name of its dialect."""
_PRIVATE_MODELS = ("Phi-3.6-mini-instruct", "Aion-1.1")
_PLACEHOLDER = re.compile(r"/?mount/<[^<>/]+>/")
_MOUNT = re.compile(r"/?mount/(?:<[^<>/]+>|(?P<run_id>[^<>/]+))/(?P<name>[^<>]+)")


def speaks(names: frozenset[str]) -> bool:
    """Return whether the file is written in this dialect: flat, with a key of ModelLab's among its own."""
    return not any("." in name for name in names) and not names.isdisjoint((*KEYS, *_HANDLED_APART))


def read(document: YamlDocument, faults: Faults) -> tuple[str, Layer, list[Note]]:
    """Return the dialect's name, the canonical settings, and what to say of them."""
    entries, path = document.entries(), document.path
    given = {entry.key: entry for entry in entries}
    soft_prompt = path.stem == "soft_prompt" or any(KEYS[key].only == "soft_prompt" for key in given if key in KEYS)
    method = "soft_prompt" if soft_prompt else "lora"
    keys = {name: key for name, key in KEYS.items() if key.only in ("", method)}
    for entry in entries:
        if entry.key not in keys and entry.key not in _HANDLED_APART:
            remedy = did_you_mean(entry.key, [*keys, *_HANDLED_APART])
            faults.append(RecipeError(f'ModelLab has no key "{entry.key}"', where=entry.where, remedy=remedy))
    skips = _skips_training(given)

    layer = {
        key.setting: Setting(value=default, source="ModelLab default")
        for key in keys.values()
        if (default := getattr(key, method)) is not None
    }
    for entry in entries:
        if entry.key not in keys or (entry.value is None and type(None) not in kinds(keys[entry.key].setting)):
            continue
        value = _local(entry, document) if entry.key in _PATHS else entry.value
        if value is not None or entry.key not in _PATHS:
            layer[keys[entry.key].setting] = Setting(value=value, source=_source(entry))
    _choose_model(given, layer, path.parent)
    if skips:
        layer["evaluation.adapter_path"] = _adapter(given, document)
    disagreements = [] if soft_prompt else _disagreements(given)
    notes = [*disagreements, *_oddities(given, layer, document), *_unlisted(path.parent)]
    return TITLES[method], layer, notes


def _skips_training(given: Mapping[str, Entry]) -> bool:
    entry = given.get("skip_finetune")
    if entry is None or entry.value in (False, None):
        return False
    if entry.value is not True:
        raise RecipeError(f"skip_finetune is {shown(entry.value)}", where=entry.where, expected="true or false")
    return True


def _adapter(given: Mapping[str, Entry], document: YamlDocument) -> Setting:
    """Return the folder of the adapter that is compared in place of training one."""
    entry = given.get("adapter_path")
    value = _local(entry, document) if entry is not None else None
    if entry is not None and isinstance(value, str) and value:
        return Setting(value=value, source=_source(entry))
    where = (entry or given["skip_finetune"]).where
    what = "skip_finetune compares an adapter without training one, and adapter_path names none"
    remedy = "Set adapter_path to an adapter's folder or to that of a run; or skip_finetune to false to train."
    raise RecipeError(what, where=where, remedy=remedy)


def _source(entry: Entry) -> str:
    return f"{entry.where} (ModelLab {entry.key})"


def _local(entry: Entry, document: YamlDocument) -> Any:
    """Return a path of the container as one here; None if a placeholder is left in it.

    What lies in `mount/<run_id>` is looked for in the run's folder, then next to the file.
    """
    if not isinstance(entry.value, str) or os.path.exists(document.path.parent / entry.value):
        return entry.value
    if entry.key != "save_dir" and (in_run := _in_run(entry.value, document.run_folder)):
        return in_run
    name = _PLACEHOLDER.sub("", entry.value, count=1)
    if "<" in name or (entry.key == "save_dir" and name != entry.value):
        return None
    return name


def _in_run(value: str, run_folder: Path | None) -> str | None:
    """Return a path in `mount/<run_id>` as one in the run's folder, or that of the run which it names, if it is there.

    One that leads out of the folder is not followed.
    """
    if run_folder is None or (found := _MOUNT.fullmatch(value)) is None or ".." in Path(value).parts:
        return None
    path = (run_folder.with_name(found["run_id"]) if found["run_id"] else run_folder) / found["name"]
    return str(path) if path.exists() else None


def _choose_model(given: Mapping[str, Entry], layer: Layer, folder: Path) -> None:
    """Prefer the folder that `model_path` names; ModelLab's container has one, a laptop often has not."""
    entry = given.get("model_path")
    if entry is None or not isinstance(entry.value, str) or not entry.value:
        return
    if os.path.isdir(folder / entry.value) or "model.base_model" not in layer:
        layer["model.base_model"] = Setting(value=entry.value, source=_source(entry))


def _disagreements(given: Mapping[str, Entry]) -> Iterator[Note]:
    for name, key in KEYS.items():
        if key.template is not None and name not in given:
            text = f"{name} is not set: ModelLab's documents say {key.lora}, its template says {key.template}; "
            yield Note(about=key.setting, text=f"{text}{key.lora} is used.")


def _oddities(given: Mapping[str, Entry], layer: Layer, document: YamlDocument) -> Iterator[Note]:
    if entry := given.get("evaluation_strategy"):
        text = f"{entry.where}: evaluation_strategy is read as training.eval_strategy."
        yield Note(about="training.eval_strategy", text=text)
    model = layer.get("model.base_model")
    if (entry := given.get("model")) and model is not None and model.value in _PRIVATE_MODELS:
        text = f"{entry.where}: {model.value} is not public. Name a model you have: --set model.base_model=nano"
        yield Note(about="model.base_model", text=text)
    if (entry := given.get("adapter_path")) and entry.value and "evaluation.adapter_path" not in layer:
        yield Note(about="", text=f"{entry.where}: adapter_path is read only with skip_finetune, which is off.")
    if (entry := given.get("trust_remote_code")) and entry.value:
        yield Note(about="", text=f"{entry.where}: trust_remote_code is left out: code of a model is never run.")
    if "evaluation.adapter_path" in layer and (entry := given.get("compare_enabled")) and entry.value is False:
        text = f"{entry.where}: compare_enabled is false, and the adapter is compared all the same: nothing is trained."
        yield Note(about="evaluation.adapter_path", text=text)
    if (entry := given.get("compare_file")) and entry.value and _local(entry, document) is None:
        text = f"{entry.where}: compare_file is still a placeholder; held-out rows are compared."
        yield Note(about="evaluation.compare_file", text=text)


def _unlisted(folder: Path) -> Iterator[Note]:
    """Say that a project does not list the method of this folder, as ModelLab's own do not list soft prompts."""
    project = folder.parent / "model_project.config"
    try:
        workflows = json.loads(read_small_file(project, max_bytes=MAX_RECIPE_BYTES))["workflows"]
        listed = {
            each[name].partition("/")[0] for each in workflows for name in ("templateName", "file") if name in each
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # no project, or one that the commands on projects refuse
    if folder.name not in listed:
        text = f"{project} lists no workflow for {folder.name}, so ModelLab does not show it. It is read all the same."
        yield Note(about="", text=text)
