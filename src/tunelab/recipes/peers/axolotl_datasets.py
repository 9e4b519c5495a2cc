"""Axolotl's list of data sets: each with a path, a type, and the names of its fields and roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunelab.conversations.messages import ROLES
from tunelab.recipes.peers.data_names import DataSets, local_name, message_format, rows_at
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import as_list

_FORMATS = {"alpaca": "instruction", "chat_template": "messages", "sharegpt": "sharegpt", "completion": "text"}
"""Types of rows that are read -> our format of them; `alpaca` has some thirty variants, of which only this is."""
_PATHS = ("path", "data_files", "ds_type", "split", "type", "trust_remote_code")
_FIELDS = {
    "field_messages": "messages",
    "field_tools": "tools",
    "field_thinking": "reasoning",
    "message_field_role": "role",
    "message_field_content": "content",
    "field_instruction": "instruction",
    "field_input": "input",
    "field_output": "output",
    "field_system": "system",
    "field": "text",
}
"""Keys that name a field of the rows -> what we call it."""
_USUAL = {
    "instruction": {name: name for name in ("instruction", "input", "output")},
    "text": {"text": "text"},
    "messages": {"role": "role", "content": "content"},
    "sharegpt": {"role": "from", "content": "value"},
}
"""Our format -> what its fields are called if the file says nothing."""
_MARKS = ("train", "weight", "trainable", "loss")
_SAID_ELSEWHERE = ("chat_template", "chat_template_jinja", "conversation", "train_on_eos", "preprocess_shards")
"""Keys about rendering: rows are rendered by the model's own chat template."""


def read_data_sets(reading: Reading) -> None:
    """Set the files of `datasets` and `test_datasets`, and how they call what they hold."""
    known_sets = DataSets()
    for key, setting in (("datasets", "data.train_files"), ("test_datasets", "data.eval_files")):
        files = []
        for data_set in as_list(reading.value(key, [])):
            if not isinstance(data_set, dict):
                reading.refuse(key, "expected a list of mappings, each with a path and a type", setting)
                continue
            files += _files(data_set, reading)
            format, fields = _format(data_set, reading, key), _named_fields(data_set)
            fields = _USUAL.get(format, {}) | fields
            if format in ("messages", "sharegpt"):
                format = message_format(fields)
            known_sets.add(str(data_set.get("path")), format, fields, _named_roles(data_set), reading, key)
            for why, nearest in _faults(data_set):
                reading.refuse(key, why, nearest)
        if files:
            reading.set(setting, files, key)
    known_sets.finish(reading, "datasets" if "datasets" in reading.entries else "test_datasets")
    if set(known_sets.formats) == {"text"}:
        reading.set("data.format", "text", "datasets")
    if any(
        str(each.get("type")).startswith("alpaca")
        for each in as_list(reading.value("datasets", []))
        if isinstance(each, dict)
    ):
        text = "Rows of type alpaca are rendered by the model's own chat template, without Alpaca's preamble."
        reading.note(text, about="data.train_files")


def _files(data_set: Mapping[str, Any], reading: Reading) -> list[str]:
    files = data_set.get("data_files")
    if files:
        return [local_name(str(file), reading.folder) for file in as_list(files)]
    return [rows_at(str(data_set.get("path", "")), reading.folder, split=str(data_set.get("split") or ""))]


def _format(data_set: Mapping[str, Any], reading: Reading, key: str) -> str:
    kind = data_set.get("type")
    if isinstance(kind, dict):
        return "instruction"
    name = str(kind).partition(".")[0]
    if name not in _FORMATS:
        known = ", ".join(_FORMATS)
        reading.refuse(
            key, f"rows of type {kind} are not read; those of {known} and of your own fields are", "data.format"
        )
        return ""
    return _FORMATS[name]


def _described(data_set: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a data set, those of a type of the user's own among them."""
    kind = data_set.get("type")
    return {**data_set, **(kind if isinstance(kind, dict) else {})}


def _named_fields(data_set: Mapping[str, Any]) -> dict[str, str]:
    described = _described(data_set)
    named = {ours: described[theirs] for theirs, ours in _FIELDS.items() if described.get(theirs)}
    mappings = described.get("message_property_mappings")
    if isinstance(mappings, dict):
        named |= {str(ours): theirs for ours, theirs in mappings.items()}
    return {ours: str(theirs) for ours, theirs in named.items()}


def _named_roles(data_set: Mapping[str, Any]) -> dict[str, str]:
    roles = data_set.get("roles")
    if not isinstance(roles, dict):
        return {}
    sources = ((str(theirs), str(ours)) for ours, each in roles.items() for theirs in as_list(each))
    return dict(sources)


def _faults(data_set: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield why a data set cannot be read as Axolotl reads it, and the nearest setting."""
    described = _described(data_set)
    path = described.get("path", "the data set")
    if described.get("name"):
        yield (
            f"{path}: configuration {described['name']}: a data set on the Hub is read by its splits",
            "data.train_files",
        )
    trained = described.get("roles_to_train")
    if trained and not {"assistant"} >= {ROLES.get(str(each), str(each)) for each in as_list(trained)}:
        yield f"{path}: roles_to_train {trained}: loss falls on answers only", ""
    mark = described.get("message_field_training")
    if mark and mark not in _MARKS:
        yield f"{path}: message_field_training {mark}: call that field train in the rows", "data.field_map"
    if (described.get("train_on_eos") or "turn") != "turn":
        yield f"{path}: train_on_eos {described['train_on_eos']}: the end token of each answer is trained", ""
    if prompt := described.get("system_prompt"):
        yield f"{path}: system_prompt {str(prompt)[:30]!r}: one system prompt is for all rows", "data.system_prompt"
    if any(described.get(key) not in (None, "{instruction}", "{input}") for key in ("format", "no_input_format")):
        yield (
            f"{path}: format: a prompt is rendered by the chat template; templates name columns",
            "data.prompt_template",
        )
    known = {*_PATHS, *_FIELDS, *_SAID_ELSEWHERE, "name", "roles", "roles_to_train", "message_field_training",
             "message_property_mappings", "system_prompt", "system_format", "format", "no_input_format"}  # fmt: skip
    for key, value in described.items():
        if key not in known and value not in (None, False, "", {}, []):
            yield f"{path}: {key} {value} is not read", ""
