"""An adapter on disk: the two files that peft reads, safetensors and JSON only."""

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
from safetensors import SafetensorError

from tunelab.errors import AdapterError
from tunelab.files import write_file, write_json

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


def write_peft_folder(folder: Path, settings: peft.PeftConfig, weights: Mapping[str, torch.Tensor]) -> None:
    """Write settings and weights; the same weights give the same bytes."""
    tensors = {name: weights[name].detach().cpu().contiguous() for name in sorted(weights)}
    write_file(folder / WEIGHTS_FILE, safetensors.torch.save(tensors, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, {key: _plain(value) for key, value in sorted(settings.to_dict().items())})


def read_peft_folder(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return settings and weights.

    Raises:
        AdapterError: a file is missing or damaged.
    """
    settings = read_peft_settings(folder)
    try:
        return settings, safetensors.torch.load((folder / WEIGHTS_FILE).read_bytes())
    except FileNotFoundError as error:
        raise AdapterError(f"{WEIGHTS_FILE} is missing", where=str(folder)) from error
    except SafetensorError as error:
        raise AdapterError(f"{WEIGHTS_FILE} is damaged ({error})", where=str(folder)) from error


def type_in(folder: Path) -> str:
    """Return the `peft_type` of a saved adapter; FULL if the folder holds a whole model instead.

    Raises:
        AdapterError: as `read_peft_settings` does.
    """
    if (folder / "config.json").is_file() and not (folder / CONFIG_FILE).exists():
        return "FULL"
    return str(read_peft_settings(folder).get("peft_type"))


def read_peft_settings(folder: Path) -> dict[str, Any]:
    """Return adapter_config.json.

    Raises:
        AdapterError: it is missing or no JSON object.
    """
    try:
        settings = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterError(f"{CONFIG_FILE} is missing", where=str(folder), expected="a PEFT adapter folder") from error
    except ValueError as error:
        raise AdapterError(f"{CONFIG_FILE} is no JSON ({error})", where=str(folder)) from error
    if not isinstance(settings, dict):
        raise AdapterError(f"{CONFIG_FILE} is no JSON object", where=str(folder))
    return settings


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
