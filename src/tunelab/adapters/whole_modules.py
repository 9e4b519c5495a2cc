"""Modules of a network that are trained whole, as peft's copies of them: next to the base's own, which stay."""

from collections.abc import Iterable, Mapping

import torch
from peft.utils.other import ModulesToSaveWrapper
from transformers import PreTrainedModel


def train_in_float32(network: PreTrainedModel, names: Iterable[str]) -> None:
    """Let the copies of these modules hold float32, whatever the base is stored in; what comes out is as the base's.

    Small updates vanish in half precision.
    """
    for name in names:
        copy = _copy(network.get_submodule(name))
        dtype = copy.weight.dtype
        copy.float()
        if dtype != torch.float32:
            copy.register_forward_pre_hook(_in_float32)
            copy.register_forward_hook(lambda _module, _inputs, output, dtype=dtype: output.to(dtype))


def load_in_float32(network: PreTrainedModel, saved: Mapping[str, torch.Tensor]) -> None:
    """Let the copies that were trained so hold what was `saved` of them: in the base's precision it would be rounded.

    Those of a kind that is never trained here, with modules inside, stay as peft loads them.
    """
    states = {}
    for name, module in network.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            keys = {key: f"base_model.model.{name}.{key}" for key in _copy(module).state_dict()}
            states[name] = {key: saved[full] for key, full in keys.items() if full in saved}
    states = {name: state for name, state in states.items() if "weight" in state}
    train_in_float32(network, states)
    for name, state in states.items():
        _copy(network.get_submodule(name)).load_state_dict(state, strict=False)


def tie(network: PreTrainedModel) -> None:
    """Make the copies of embeddings and head share one weight, as those of the base do."""
    _copy(network.get_output_embeddings()).weight = _copy(network.get_input_embeddings()).weight


def _copy(wrapper: torch.nn.Module) -> torch.nn.Module:
    assert isinstance(wrapper, ModulesToSaveWrapper)
    copy: torch.nn.Module = wrapper.modules_to_save["default"]
    return copy


def _in_float32(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(each.float() if each.is_floating_point() else each for each in inputs)
