"""A fresh adapter for a loaded model, or one read from its folder: the two ways an adapter comes to be."""

from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.config import AdapterConfig
from tunelab.adapters.kinds import KINDS, kind_of
from tunelab.adapters.peft_folder import read_peft_settings, type_in
from tunelab.errors import AdapterError


def attach(
    network: PreTrainedModel, config: AdapterConfig, *, init_ids: NDArray[np.int32], base_model: str, seed: int
) -> Adapter:
    """Attach a fresh adapter of the configured kind to `network`.

    Args:
        network: the frozen base model.
        config: the section of one of the `KINDS`.
        init_ids: token ids of the config's `initial_text`; empty otherwise.
        base_model: what the saved adapter names as its base.
        seed: of its initial weights.
    """
    module = import_module(kind_of(config).module)
    adapter = module.attach(network, config, init_ids=init_ids, base_model=base_model, seed=seed)
    return cast(Adapter, adapter)


def load_adapter(network: PreTrainedModel, folder: Path, *, base_model: str) -> Adapter:
    """Attach the adapter in `folder` to `network`.

    Raises:
        AdapterError: the folder is incomplete, the adapter is of another kind, or it was trained on another base.
    """
    found = type_in(folder)
    if found != "FULL":
        _refuse_another_base(folder, base_model)
    kind = next((kind for kind in KINDS if kind.peft_type == found), None)
    if kind is None:
        *most, last = dict.fromkeys(kind.peft_type for kind in KINDS)
        raise AdapterError(
            f"adapters of kind {found} are not known here",
            where=str(folder),
            expected=f"{', '.join(most)} or {last}",
        )
    return cast(Adapter, import_module(kind.module).load(network, folder))


def _refuse_another_base(folder: Path, base_model: str) -> None:
    named = read_peft_settings(folder).get("base_model_name_or_path")
    if named != base_model:
        remedy = f"Load it over {named}, or train a new adapter for {base_model}."
        raise AdapterError(
            f"this adapter was trained on {named}, not on {base_model}", where=str(folder), remedy=remedy
        )
