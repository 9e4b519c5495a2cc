"""LLaMA-Factory's `dataset_info.json`: which file, which columns and which roles a data set's name means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.files import expanded, read_small_file
from tunelab.recipes.peers.data_names import DataSets, local_name, message_format
from tunelab.recipes.peers.reading import Reading

_MAX_BYTES = 4 * 2**20
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
"""Columns of the alpaca form -> our fields; the others have the same name."""
_COLUMNS = ("prompt", "query", "response", "history", "messages", "system", "tools")
_FIELD_TAGS = {"role_tag": ("role", "from"), "content_tag": ("content", "value")}
"""Tags of fields -> ours, and what they are called if the file says nothing."""
_ROLE_TAGS = {
    "user_tag": ("user", "human"),
    "assistant_tag": ("assistant", "gpt"),
    "observation_tag": ("tool", "observation"),
    "function_tag": ("function_call", "function_call"),
    "system_tag": ("system", "system"),
}
"""Tags of roles -> ours, and theirs if the file says nothing."""
_LABELS = ("chosen", "rejected", "kto_tag")
_MEDIA = ("images", "videos", "audios")


def read_data_sets(reading: Reading) -> None:
    """Set the files of `dataset` and `eval_dataset`, and how they call what they hold."""
    train, held_out = _names(reading.value("dataset")), _names(reading.value("eval_dataset"))
    if not train:
        return
    folder, known = _described(reading)
    reading.set("data.data_dir", folder, *(("dataset_dir",) if "dataset_dir" in reading.entries else ("dataset",)))
    known_sets = DataSets()
    for key, setting, data_sets in (
        ("dataset", "data.train_files", train),
        ("eval_dataset", "data.eval_files", held_out),
    ):
        files = []
        for name in data_sets:
            described = _found(name, known, reading, key)
            files.append(_file(name, described))
            fields = _fields(described)
            format = "instruction" if _is_alpaca(described) else message_format(fields)
            known_sets.add(f'"{name}"', format, fields, _roles(described), reading, key)
            _refuse_other_rows(described, name, reading, key)
        if files:
            reading.set(setting, files, key)
    known_sets.finish(reading, "dataset")
    _limit(reading, len(train))


def _names(given: Any) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    return [str(part).strip() for part in parts if str(part).strip()]


def _described(reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """Return the folder of the data as the recipe sees it, and what its `dataset_info.json` says."""
    folder = local_name(str(reading.value("dataset_dir", "data")), reading.folder)
    file = reading.folder / expanded(folder) / "dataset_info.json"
    where = reading.entries["dataset"].where
    if not file.is_file():
        what = "LLaMA-Factory describes its data sets in dataset_info.json, and there is none"
        remedy = "Name the folder that holds it: dataset_dir: FOLDER. It is looked for from the recipe, then from here."
        raise RecipeError(what, where=where, expected=str(file), remedy=remedy)
    try:
        known = json.loads(read_small_file(file, max_bytes=_MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"it cannot be read ({error})", where=str(file), expected="JSON") from error
    if not isinstance(known, dict):
        raise RecipeError("this is no JSON object", where=str(file), expected="the name of each data set -> its file")
    return folder, known


def _found(name: str, known: Mapping[str, Any], reading: Reading, key: str) -> Mapping[str, Any]:
    described = known.get(name)
    if not isinstance(described, dict):
        remedy = did_you_mean(name, known)
        raise RecipeError(
            f'{key}: dataset_info.json has no data set "{name}"', where=reading.entries[key].where, remedy=remedy
        )
    return described


def _file(name: str, described: Mapping[str, Any]) -> str:
    """Return what `data.train_files` says of a data set: its file, or its split on the Hub."""
    if url := described.get("hf_hub_url"):
        return f"{url}[{described.get('split') or 'train'}]"
    return str(described.get("file_name") or described.get("ms_hub_url") or described.get("script_url") or name)


def _fields(described: Mapping[str, Any]) -> dict[str, str]:
    """Return our field -> theirs, of all that the data set names or that have a name without it."""
    columns, tags = _mapping(described, "columns"), _mapping(described, "tags")
    if _is_alpaca(described):
        named = {**{ours: ours for ours in _ALPACA.values()}} if not columns else {}
        return named | {_ALPACA.get(each, each): str(columns[each]) for each in _COLUMNS if columns.get(each)}
    is_openai = described.get("formatting") == "openai"
    named = {ours: tags.get(tag) or (ours if is_openai else usual) for tag, (ours, usual) in _FIELD_TAGS.items()}
    named |= {each: columns[each] for each in _COLUMNS if columns.get(each)}
    return {ours: str(theirs) for ours, theirs in named.items()}


def _is_alpaca(described: Mapping[str, Any]) -> bool:
    return bool(described.get("formatting", "alpaca") == "alpaca")


def _roles(described: Mapping[str, Any]) -> dict[str, str]:
    """Return their role -> ours."""
    tags = _mapping(described, "tags")
    return {str(tags.get(tag) or usual): ours for tag, (ours, usual) in _ROLE_TAGS.items()}


def _mapping(described: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    given = described.get(key)
    return given if isinstance(given, dict) else {}


def _refuse_other_rows(described: Mapping[str, Any], name: str, reading: Reading, key: str) -> None:
    columns = _mapping(described, "columns")
    if described.get("ranking") or any(columns.get(label) for label in _LABELS):
        reading.refuse(key, f'"{name}" holds preferences, and training is supervised', "data.train_files")
    elif any(columns.get(medium) for medium in _MEDIA):
        reading.refuse(key, f'"{name}" holds images, video or sound, which are not read', "data.train_files")
    elif described.get("subset") or described.get("folder"):
        reading.refuse(key, f'"{name}" names a subset; a data set on the Hub is read by its splits', "data.train_files")
    elif described.get("num_samples"):
        why = f'"{name}" is cut to {described["num_samples"]} rows, and one limit is for all data sets'
        reading.refuse(key, why, "data.train_samples")
    elif not (described.get("file_name") or described.get("hf_hub_url")):
        why = f'"{name}" lies on ModelScope or comes of a script; files and the Hub are read'
        reading.refuse(key, why, "data.train_files")


def _limit(reading: Reading, number: int) -> None:
    """Set how many rows are trained: `max_samples` of each data set, taken from its beginning."""
    each = reading.value("max_samples")
    if each is None:
        return
    if not isinstance(each, int):
        reading.refuse("max_samples", "expected a number of rows", "data.train_samples")
        return
    reading.set("data.train_samples", each * number, "max_samples")
    if reading.value("eval_dataset"):
        reading.set("data.eval_samples", each * len(_names(reading.value("eval_dataset"))), "max_samples")
    of_all = f" of all {number} data sets together, not {each:,} of each" if number > 1 else ""
    text = f"max_samples: at most {each * number:,} rows{of_all}, sampled by seed, not the first ones."
    reading.note(text, about="data.train_samples")
