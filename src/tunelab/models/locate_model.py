"""Where the files of a base model lie: embedded or packaged name, local folder, GGUF or Hub id. Imports no torch."""

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tunelab.errors import MissingExtraError, ModelError, guess
from tunelab.files import expanded
from tunelab.models.config import ModelConfig, Quantization
from tunelab.models.gguf.header import only_gguf
from tunelab.models.gguf.packaged import PACKAGED_MODELS, packaged_gguf
from tunelab.models.gguf.unpack import unpacked
from tunelab.models.require_files import require_model_folder
from tunelab.starter import NANO_FOLDER

EMBEDDED_MODELS = {"nano": NANO_FOLDER}
MODEL_NAMES = (*EMBEDDED_MODELS, *PACKAGED_MODELS)
"""Base models that need no folder."""

_FETCHED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]


def locate_model(config: ModelConfig, *, base: Path, on_start: Callable[[str], None] | None = None) -> Path:
    """Return the local folder of a base model; a GGUF is unpacked into one when it is first named.

    Args:
        config: names the model; relative names start from `base`.
        base: the folder of the recipe.
        on_start: called with what is going to take some seconds.

    Raises:
        ModelError: no such folder or file, one that holds no base model, a Hub id without revision, or the Hub cannot
            be reached.
    """
    name = config.base_model
    if name in EMBEDDED_MODELS:
        return EMBEDDED_MODELS[name]
    if name in PACKAGED_MODELS:
        return unpacked(packaged_gguf(name), sha256=PACKAGED_MODELS[name].sha256, on_start=on_start)
    path = base / expanded(name)
    if os.path.isdir(path):  # unlike Path.is_dir, at ease with names that can be none
        folder = path.resolve()
        if gguf := only_gguf(folder):
            return unpacked(gguf, on_start=on_start)
        require_model_folder(folder)
        return folder
    if os.path.isfile(path):
        if is_gguf(path):
            return unpacked(path.resolve(), on_start=on_start)
        _refuse_file(path)
    if not _is_hub_id(name) or (config.revision is None and os.path.isdir(path.parent)):
        _refuse_unknown(name, path, base)
    if config.revision is None:
        remedy = (
            "Set model.revision to the commit you have looked at, so that the base cannot change under your adapter."
        )
        what = f"the Hub model {name} has no pinned revision, and there is no folder of that name"
        raise ModelError(what, where="model.revision", remedy=remedy)
    return _download(name, config.revision)


def is_gguf(path: Path) -> bool:
    """Return True for a GGUF, and for a folder with one that is no model of transformers."""
    if os.path.isdir(path):
        return only_gguf(path) is not None
    return path.suffix.lower() == ".gguf" and os.path.isfile(path)


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


def require_bitsandbytes(quantization: Quantization | None) -> None:
    """Raise a MissingExtraError if a base is to be quantized and the package that does it is not installed."""
    if quantization is not None and find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", extra="qlora")


def _is_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.lower().endswith(".gguf")


def _refuse_file(path: Path) -> None:
    folder = path.resolve().parent
    remedy = f"Name the folder that it lies in: model.base_model: {folder}"
    is_part = path.suffix in (".safetensors", ".bin", ".json") and (folder / "config.json").is_file()
    raise ModelError(
        "this is a file, and no GGUF", where=str(path), expected="a folder or a GGUF", remedy=remedy if is_part else ""
    )


def _refuse_unknown(name: str, path: Path, base: Path) -> None:
    """Raise a ModelError that says where `name` was looked for, and what is nearest to it."""
    near = [] if path.parent == base else _neighbours(path)
    remedy = guess(path.name, near) or guess(name, MODEL_NAMES)
    if os.path.exists(expanded(name)):
        remedy = f"From there it is {os.path.relpath(expanded(name), base)}."
    raise ModelError(
        f'there is no model "{name}" from {base.resolve()}, where relative names start',
        where="model.base_model",
        expected=f"a model by name ({', '.join(MODEL_NAMES)}), a folder, a GGUF, or a Hub id such as owner/name",
        remedy=remedy or f"Name one you have: --set model.base_model={MODEL_NAMES[0]}",
    )


def _neighbours(path: Path) -> list[str]:
    """Return the folders and GGUF files in the folder that a missing one would lie in."""
    try:
        return sorted(each.name for each in path.parent.iterdir() if each.is_dir() or each.suffix.lower() == ".gguf")
    except (OSError, ValueError):
        return []


def _download(name: str, revision: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", extra="train") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_FETCHED))
    except Exception as error:  # the Hub's client raises many kinds, all of them mean: not to be had now
        remedy = "Check the id, the revision and the network, or point model.base_model at a local folder."
        raise ModelError(
            f"could not fetch {name} at {revision} ({type(error).__name__})", where="model.base_model", remedy=remedy
        ) from error
