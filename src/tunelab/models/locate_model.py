"""Where the files of a base model lie: embedded name, local folder or Hub id. Imports no torch."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from tunelab.errors import MissingExtraError, ModelError
from tunelab.models.config import ModelConfig, Quantization
from tunelab.starter import NANO_FOLDER

EMBEDDED_MODELS = {"nano": NANO_FOLDER}

_WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]


def locate_model(config: ModelConfig, *, base: Path) -> Path:
    """Return the local folder of a base model.

    Args:
        config: names the model; relative folders start from `base`.
        base: the folder of the recipe.

    Raises:
        ModelError: no such folder, a Hub id without revision, or the Hub cannot be reached.
    """
    name = config.base_model
    if name in EMBEDDED_MODELS:
        return EMBEDDED_MODELS[name]
    folder = base / (name if "\0" in name else os.path.expanduser(name))
    if os.path.isdir(folder):  # unlike Path.is_dir, at ease with names that can be none
        folder = folder.resolve()
        if not (folder / "config.json").is_file():
            raise ModelError(
                "this folder holds no config.json", where=str(folder), expected="a model saved by transformers"
            )
        return folder
    looks_like_hub_id = name.count("/") == 1 and not name.startswith((".", "/", "~"))
    if not looks_like_hub_id:
        embedded = ", ".join(EMBEDDED_MODELS)
        expected = f"an embedded model ({embedded}), a folder, or a Hub id such as owner/name"
        remedy = f"Name one you have: --set model.base_model={next(iter(EMBEDDED_MODELS))}"
        raise ModelError(f'there is no model "{name}"', where="model.base_model", expected=expected, remedy=remedy)
    if config.revision is None:
        remedy = (
            "Set model.revision to the commit you have looked at, so that the base cannot change under your adapter."
        )
        raise ModelError(f"the Hub model {name} has no pinned revision", where="model.revision", remedy=remedy)
    return _download(name, config.revision)


def max_positions(folder: Path) -> int | None:
    """Return the longest sequence that the model in `folder` has positions for, in tokens; None if it says none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"config.json is no JSON ({error})", where=str(folder)) from error
    if not isinstance(config, dict):
        raise ModelError("config.json holds no object", where=str(folder))
    for values in (config, config.get("text_config")):
        for key in ("max_position_embeddings", "n_positions"):
            if isinstance(values, dict) and isinstance(values.get(key), int):
                return int(values[key])
    return None


def require_weights(folder: Path) -> None:
    """Raise a ModelError if a model's folder holds no weights, or only pickled ones."""
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")):
        remedy = (
            "Save the model again with save_pretrained(..., safe_serialization=True); pickled weights are never read."
        )
        raise ModelError("the weights are pickled (.bin)", where=str(folder), expected="*.safetensors", remedy=remedy)
    raise ModelError("this model folder holds no weights", where=str(folder), expected="model.safetensors")


def require_bitsandbytes(quantization: Quantization | None) -> None:
    """Raise a MissingExtraError if a base is to be quantized and the package that does it is not installed."""
    if quantization is not None and find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", extra="qlora")


def _download(name: str, revision: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", extra="train") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except Exception as error:  # the Hub's client raises many kinds, all of them mean: not to be had now
        remedy = "Check the id, the revision and the network, or point model.base_model at a local folder."
        raise ModelError(
            f"could not fetch {name} at {revision} ({type(error).__name__})", where="model.base_model", remedy=remedy
        ) from error
