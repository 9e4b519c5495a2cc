"""LoRA, rsLoRA and DoRA through peft, on layers found by role or name."""

from collections.abc import Sequence
from pathlib import Path

import peft
import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.config import LoraConfig
from tunelab.adapters.layer_adapter import attach_layers, load_layers, peft_names
from tunelab.adapters.lora_linear import LoraLinear
from tunelab.adapters.lora_start import start_from_weights
from tunelab.adapters.lora_targets import by_name
from tunelab.adapters.whole_modules import tie, train_in_float32
from tunelab.errors import AdapterError
from tunelab.models.network_layers import modules_of
from tunelab.models.zero_outputs import zero_outputs_in_words


def attach(network: PreTrainedModel, config: LoraConfig, *, base_model: str, seed: int, **_: object) -> Adapter:
    """Attach a fresh LoRA adapter to `network`, in place; its initial weights depend on `seed` alone.

    Raises:
        AdapterError: a target matches no layer, a setting does not fit the layers, or DoRA would divide by zero.
    """
    modules = modules_of(network)
    targets = config.targets_in(modules)
    updated = [module for target in targets if not target.num_whole for module in target.modules]
    whole = {module for target in targets if target.num_whole for module in target.modules}
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.r,
        lora_alpha=config.lora_alpha,
        rank_pattern=by_name(config.rank_pattern, updated),
        alpha_pattern=by_name(config.alpha_pattern, updated),
        lora_dropout=config.lora_dropout,
        bias=config.bias,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        init_lora_weights=True if config.starts_from_weights else config.init_lora_weights,
        target_modules=peft_names(network, set(updated)),
        modules_to_save=peft_names(network, whole, dot="") or None,
    )
    if all(type(network.get_submodule(name)) is torch.nn.Linear for name in updated):
        settings._register_custom_module({torch.nn.Linear: LoraLinear})
    adapter = attach_layers(
        network,
        settings,
        targets,
        base_model=base_model,
        seed=seed,
        section=config.section,
        rate_ratio=config.loraplus_lr_ratio,
    )
    if config.use_dora:
        _refuse_to_divide_by_zero(network, updated, config.section)
    if config.starts_from_weights:
        start_from_weights(network, str(config.init_lora_weights))
    train_in_float32(network, whole)
    if whole & set(modules.tied):
        tie(network)
    return adapter


def load(network: PreTrainedModel, folder: Path) -> Adapter:
    """Attach the adapter saved in `folder`, ready to answer."""
    return load_layers(network, folder)


def _refuse_to_divide_by_zero(network: PreTrainedModel, modules: Sequence[str], section: str) -> None:
    """Raise an AdapterError where an output of a layer has only zero weights: DoRA gives 0/0 there, in peft as well."""
    counts = {}
    for name in dict.fromkeys(modules):
        magnitudes: torch.Tensor = network.get_submodule(name).lora_magnitude_vector["default"].weight
        counts[name] = (int((magnitudes == 0).sum()), magnitudes.numel())
    what, remedy = zero_outputs_in_words(counts, section=section)
    if what:
        raise AdapterError(what, where=f"{section}.use_dora", remedy=remedy)
