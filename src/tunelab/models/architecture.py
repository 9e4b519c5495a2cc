"""What a config.json says of a base beyond its sizes: layers that cannot branch, pictures, quantization.

Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunelab.models.model_files import read_description

_LISTS = ("layer_types", "layers_block_type", "block_types")
_BRANCHING = {"full_attention", "sliding_attention", "attention", "moe", "mlp", "dense", "sparse"}
# Where no list names the layers, the settings of such layers give them away, or the name of the model.
_SETTINGS = {"mamba": "state space", "ssm": "state space", "state_size": "state space", "conv_L_cache": "conv"}
_INPUTS = {"pictures": ("vision_config", "visual"), "sound": ("audio_config",)}
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
    """Return `running_kinds` of the model in `folder`; nothing if its config.json cannot be read."""
    return running_kinds(read_description(folder))


def quantized_in(folder: Path) -> str:
    """Return how the weights in `folder` are quantized, such as ``gptq, 4 bits``; nothing if they are not."""
    config = read_description(folder)
    settings = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(settings, Mapping):
        return ""
    bits = settings.get("bits") or (settings.get("load_in_4bit") and 4) or (settings.get("load_in_8bit") and 8)
    method = settings.get("quant_method") or "a method that is not named"
    return f"{method}, {bits} bits" if bits else str(method)


def other_inputs_in(folder: Path) -> str:
    """Return what the model in `folder` takes besides text, such as ``pictures``; nothing if it takes none."""
    return other_inputs(read_description(folder))


def other_inputs(config: Mapping[str, Any]) -> str:
    """Return what a model of this config takes besides text, such as ``pictures and sound``."""
    return " and ".join(word for word, keys in _INPUTS.items() if any(config.get(key) for key in keys))
