"""Base weights into memory: safetensors only, no remote code, the attention implementation said explicitly."""

import json
import os
from pathlib import Path
from typing import cast

import torch
import transformers
from safetensors import SafetensorError
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tunelab.errors import ModelError, counted
from tunelab.models.config import ModelConfig, Precision, Quantization, name_of_dtype
from tunelab.models.cpu_settings import prepare_host
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.locate_model import require_bitsandbytes
from tunelab.models.quantized import quantized_by
from tunelab.models.require_files import require_loadable, require_text_model

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Keys through which a config.json could name code or a kernel of its own.
_CODE_KEYS = (
    "auto_map",
    "trust_remote_code",
    "_attn_implementation",
    "attn_implementation",
    "kernel_config",
    "quantization_config",
)


def load_model(
    folder: Path,
    config: ModelConfig,
    *,
    precision: Precision = "fp32",
    quantization: Quantization | None = None,
    is_for_shards: bool = False,
) -> LoadedModel:
    """Return the frozen base model in `folder`.

    Args:
        precision: what training computes in.
        quantization: how the linear layers are packed; None leaves them as they are.
        is_for_shards: leave the weights in main memory, for `training.sharding` to bring to the device in parts.

    Raises:
        ModelError: no weights, or not all of them, weights that are not safetensors or quantized, a kind of model that
            is unknown or writes no text, no GPU though one is requested, or a precision that clashes with the stored
            weights.
        MissingExtraError: what packs them is not installed.
    """
    model_config = read_model_config(folder)
    require_loadable(folder)
    require_bitsandbytes(quantization)
    device = choose_device(config.device_map, local_rank=int(os.environ.get("LOCAL_RANK") or 0))
    stored = stored_dtype(model_config)
    dtype = choose_dtype(config.torch_dtype, stored=stored, precision=precision, device=device)
    prepare_host()
    packed = {}
    if quantization is not None:
        packed = {"quantization_config": quantized_by(quantization, dtype), "device_map": {"": device}}
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=model_config,
            dtype=dtype,
            attn_implementation=_stock_attention(model_config),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **packed,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ModelError(f"the weights could not be loaded: {first_line}", where=str(folder)) from error
    if missing := sorted(found["missing_keys"]):
        what = f"the files lack {counted(len(missing), 'tensor')} of the model"
        remedy = f"Fetch the model again, all of its files. The first one missing: {missing[0]}."
        raise ModelError(what, where=str(folder), remedy=remedy)
    if not is_for_shards and not packed:
        network = network.to(device)
    network.requires_grad_(False)
    network.eval()
    return LoadedModel(network=network, folder=folder, device=device, dtype=dtype)


def read_model_config(folder: Path) -> transformers.PretrainedConfig:
    """Return the model's config, stripped of everything that could load code.

    Raises:
        ModelError: config.json is missing, is no JSON, or names a kind of model that transformers does not know.
    """
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"), object_hook=_float_or_dict)
    except FileNotFoundError as error:
        raise ModelError("this folder holds no config.json", where=str(folder)) from error
    except ValueError as error:
        raise ModelError(f"config.json is no JSON ({error})", where=str(folder)) from error
    if not isinstance(values, dict) or not values:
        raise ModelError("config.json holds no settings of a model", where=str(folder))
    require_text_model(folder)
    kind = values.pop("model_type")
    for key in _CODE_KEYS:
        values.pop(key, None)
    return AutoConfig.for_model(kind, **values)


def _float_or_dict(values: dict[str, object]) -> object:
    # transformers writes infinity, which JSON has no word for, as {"__float__": "Infinity"}.
    return float(str(values["__float__"])) if values.keys() == {"__float__"} else values


def empty_model(config: transformers.PretrainedConfig) -> PreTrainedModel:
    """Return the network without weights, on the meta device: enough to name and count its layers."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, attn_implementation=_stock_attention(config))


def choose_device(requested: str, *, local_rank: int = 0) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; "cuda" is the GPU that this process has made its own.

    Args:
        local_rank: place of this process among those that torchrun started on this machine.

    Raises:
        ModelError: there is no GPU, or none for this process.
    """
    if requested == "cuda" and not torch.cuda.is_available():
        remedy = "Set model.device_map to auto or cpu."
        raise ModelError("a GPU is requested and none can be used here", where="model.device_map", remedy=remedy)
    if requested == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        expected = f"at most {torch.cuda.device_count()} processes on this machine, one for each GPU"
        remedy = "Start fewer, or set model.device_map to cpu."
        what = f"there is no GPU for process {local_rank + 1} of this machine"
        raise ModelError(what, where="torchrun --nproc-per-node", expected=expected, remedy=remedy)
    return torch.device("cuda")


def _stock_attention(config: transformers.PretrainedConfig) -> str:
    """Return the attention that the model brings itself: some know no other than the plain one."""
    network = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return "sdpa" if getattr(network, "_supports_sdpa", True) else "eager"


def stored_dtype(config: transformers.PretrainedConfig) -> torch.dtype:
    """Return the precision that the weights were saved in, float32 if the config does not say."""
    dtype = getattr(config, "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) else _DTYPES.get(str(dtype), torch.float32)


def choose_dtype(requested: str, *, stored: torch.dtype, precision: Precision, device: torch.device) -> torch.dtype:
    """Return the precision of the base weights in memory.

    Raises:
        ModelError: two half precisions would mix.
    """
    name = str(stored).removeprefix("torch.")
    dtype = name_of_dtype(requested, stored=name, precision=precision, on_gpu=device.type != "cpu")
    return cast(torch.dtype, getattr(torch, dtype))
