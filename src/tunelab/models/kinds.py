"""The kinds of layers that a config.json speaks of, as far as they cannot branch. Imports no torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LISTS = ("layer_types", "layers_block_type", "block_types")
_BRANCHING = {"full_attention", "sliding_attention", "attention", "moe", "mlp", "dense", "sparse"}
# Where no list names the layers, the settings of such layers give them away, or the name of the model.
_SETTINGS = {"mamba": "state space", "ssm": "state space", "state_size": "state space", "conv_L_cache": "conv"}
_MODELS = ("rwkv", "xlstm", "zaya")


def running_kinds(config: Mapping[str, Any]) -> list[str]:
    """Return the kinds of layers in a model's `config` whose state runs along the row, such as linear attention.

    An empty list promises nothing: whether the layers of a loaded network branch is tried out in `models.branching`.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) and inner else config
    lists = [text[key] for key in _LISTS if isinstance(text.get(key), list | tuple)]
    listed = [kind for kinds in lists for kind in kinds if isinstance(kind, str)]
    if listed:
        return sorted(set(listed) - _BRANCHING)
    kinds = {kind for word, kind in _SETTINGS.items() if any(word in key for key in text)}
    return sorted(kinds | ({"state space"} if text.get("model_type") in _MODELS else set()))


def running_kinds_in(folder: Path) -> list[str]:
    """Return `running_kinds` of the model in `folder`; nothing where its config.json cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []  # whoever loads the model says so, and better
    return running_kinds(config) if isinstance(config, dict) else []
