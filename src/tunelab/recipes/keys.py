"""The names of settings: which there are, what each may hold, and what to say of a name that is none."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

from tunelab.errors import RecipeError, did_you_mean, guess
from tunelab.recipes.recipe import FIELDS, SECTIONS
from tunelab.settings import kinds_of

FOREIGN = {
    "dataloader_num_workers": "There is no loader process to count: rows are rendered once, before training.",
    "load_in_8bit": "Name the section qlora instead of lora, with quantization: int8.",
    "load_in_4bit": "Name the section qlora instead of lora: it loads the base in 4 bits.",
    "trust_remote_code": "There is no such switch: code that comes with a model is never run.",
    "packing": "Rows are filled with whole sequences by batching.varied_seqlen: false.",
    "max_steps": "It is called training.num_training_steps here.",
    "warmup_ratio": "Warm-up is counted in steps: training.num_warmup_steps with a _with_warmup scheduler.",
    "warmup_steps": "It is called training.num_warmup_steps here, and needs a _with_warmup scheduler.",
    "evaluation_strategy": "It is called training.eval_strategy here.",
    "epochs": "It is called training.num_train_epochs here.",
    "num_epochs": "It is called training.num_train_epochs here.",
    "batch_size": "It is called training.per_device_train_batch_size here.",
    "micro_batch_size": "It is called training.per_device_train_batch_size here.",
    "max_seq_length": "It is called data.max_length here.",
    "sequence_len": "It is called data.max_length here.",
    "cutoff_len": "It is called data.max_length here.",
    "model_name_or_path": "It is called model.base_model here.",
    "torch_compile": "Compilation is not available yet.",
    "optim": "The optimizer is AdamW; its settings are training.adam_beta1, adam_beta2, adam_epsilon and weight_decay.",
    "report_to": "Each run writes events.jsonl; other trackers are not available yet.",
    "resume_from_checkpoint": "A run is resumed on the command line: tunelab train RECIPE --resume.",
    "metric_for_best_model": "The best adapter is the one with the lowest held-out loss.",
    "task_type": "There is one task: causal language modelling.",
    "push_to_hub": "Nothing is uploaded.",
}
"""Well-known names of other tools -> the word on them."""


def check_key(dotted: str, where: str) -> None:
    """Raise a RecipeError for a key that is none, with the nearest good name."""
    if dotted in FIELDS or dotted in SECTIONS:
        return
    section, _, key = dotted.rpartition(".")
    raise RecipeError(f'there is no setting "{dotted}"', where=where, remedy=_remedy(section, key))


def _remedy(section: str, key: str) -> str:
    if key in FOREIGN:
        return FOREIGN[key]
    homes = [dotted for dotted in FIELDS if dotted.rpartition(".")[2] == key]
    if homes:
        return f'Did you mean "{min(homes, key=_depth)}"?'
    if section and section not in SECTIONS:
        return f"{did_you_mean(section, SECTIONS)} (A setting is written section.key.)"
    if not section and (nearest_section := guess(key, SECTIONS)):
        return nearest_section
    own = {name: f"{section}.{name}" for name in SECTIONS[section].model_fields} if section else {}
    every = {dotted.rpartition(".")[2]: dotted for dotted in sorted(FIELDS, key=_depth, reverse=True)}
    for names in (own, every):
        nearest = get_close_matches(key, names, n=1)
        if nearest:
            return f'Did you mean "{names[nearest[0]]}"?'
    return did_you_mean(key, own or SECTIONS)


def _depth(dotted: str) -> int:
    return dotted.count(".")


def kinds(dotted: str) -> set[type]:
    """Return the Python types that a setting may hold: str, int, float, bool, tuple, dict, NoneType."""
    return kinds_of(FIELDS[dotted].annotation)


def expected(dotted: str) -> str:
    """Return what a setting may hold, in words, its range included: ``a whole number of at least 1, or null``."""
    section, _, key = dotted.rpartition(".")
    schema = SECTIONS[section].model_json_schema()["properties"][key]
    return ", or ".join(_in_words(option) for option in schema.get("anyOf", [schema]))


def shown(value: object) -> str:
    """Return a value as a message shows it, in at most 60 characters."""
    text = f"{value:g}" if type(value) is float else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        *most, last = ("true" if value is True else str(value) for value in schema["enum"])
        return f"{', '.join(most)} or {last}"
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values.get("type") in ("integer", "number"):
        return f"a mapping to values, each {_in_words(values)}"
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "text",
        "array": "a list",
        "object": "a mapping",
        "null": "null",
    }
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    limits = [f"{word} {_plain(schema[bound])}" for bound, word in bounds.items() if bound in schema]
    return words[schema["type"]] + (" of " + " and ".join(limits) if limits else "")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
