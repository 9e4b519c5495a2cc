"""A fresh adapter for a loaded model, or one read from its folder: the two ways an adapter comes to be."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.config import AdapterConfig, LoraConfig, PrefixTuningConfig
from tunelab.adapters.lora import attach_lora, load_lora
from tunelab.adapters.peft_folder import read_peft_settings
from tunelab.adapters.prefix_tuning import attach_prefix, load_prefix
from tunelab.adapters.soft_prompt import attach_soft_prompt, load_soft_prompt
from tunelab.errors import AdapterError


def attach(
    network: PreTrainedModel, config: AdapterConfig, *, init_ids: NDArray[np.int32], base_model: str, seed: int
) -> Adapter:
    """Attach a fresh adapter of the configured kind to `network`.

    Args:
        network: the frozen base model.
        config: a LoRA, soft-prompt or prefix-tuning section.
        init_ids: token ids of a soft prompt's `init_prompt`; empty otherwise.
        base_model: what the saved adapter names as its base.
        seed: of its initial weights.
    """
    if isinstance(config, LoraConfig):
        return attach_lora(network, config, base_model=base_model, seed=seed)
    if isinstance(config, PrefixTuningConfig):
        return attach_prefix(network, config, base_model=base_model, seed=seed)
    return attach_soft_prompt(network, config, init_ids=init_ids, base_model=base_model, seed=seed)


def load_adapter(network: PreTrainedModel, folder: Path, *, base_model: str) -> Adapter:
    """Attach the adapter in `folder` to `network`.

    Raises:
        AdapterError: the folder is incomplete, the adapter is of another kind, or it was trained on another base.
    """
    settings = read_peft_settings(folder)
    named = settings.get("base_model_name_or_path")
    if named != base_model:
        remedy = f"Load it over {named}, or train a new adapter for {base_model}."
        raise AdapterError(
            f"this adapter was trained on {named}, not on {base_model}", where=str(folder), remedy=remedy
        )
    kind = settings.get("peft_type")
    if kind == "LORA":
        return load_lora(network, folder)
    if kind == "PROMPT_TUNING":
        return load_soft_prompt(network, folder)
    if kind == "PREFIX_TUNING":
        return load_prefix(network, folder)
    expected = "LORA, PROMPT_TUNING or PREFIX_TUNING"
    raise AdapterError(f"adapters of kind {kind} are not known here", where=str(folder), expected=expected)
