"""Layers by role: which modules of a network an adapter trains, each requested target matched or refused."""

import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from tunelab.models.layer_roles import Modules, Target, role_of


def find_targets(
    network: PreTrainedModel, requested: str | Sequence[str], *, where: str = "lora.target_modules"
) -> list[Target]:
    """Return what each requested target matches in `network`, which may lie on the meta device.

    Args:
        where: the setting that holds the targets.

    Raises:
        AdapterError: as `match_targets` does.
    """
    return modules_of(network).match(requested, where=where)


def modules_of(network: PreTrainedModel) -> Modules:
    """Return what of `network` can be trained; it may lie on the meta device."""
    adaptable = _adaptable(network)
    around = _read_around_in(network, adaptable)
    embeddings, head = network.get_input_embeddings(), network.get_output_embeddings()
    ends = {module: name for name, module in network.named_modules() if module in (embeddings, head)}
    is_tied = head is not None and head.weight is embeddings.weight
    return Modules(
        kind=getattr(network.config, "model_type", "this model"),
        num_layers=int(getattr(network.config.get_text_config(), "num_hidden_layers", 0)),
        adaptable={name: shape for name, shape in adaptable.items() if name not in around},
        read_around=around,
        sizes={
            name: sum(weight.numel() for weight in module.parameters(recurse=False))
            for name, module in (*_text_modules(network), *((name, module) for module, name in ends.items()))
            if isinstance(getattr(module, "weight", None), torch.nn.Parameter)
        },
        tied=(ends[embeddings], ends[head]) if is_tied else (),
    )


def _adaptable(network: PreTrainedModel) -> dict[str, tuple[int, int]]:
    shapes: dict[str, tuple[int, int]] = {}
    for name, module in _text_modules(network):
        if isinstance(module, torch.nn.Linear):
            shapes[name] = (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            shapes[name] = (module.nx, module.nf)
        elif isinstance(module, torch.nn.Embedding):
            shapes[name] = (module.num_embeddings, module.embedding_dim)
    head = network.get_output_embeddings()
    for name, module in network.named_modules():
        if module is head:
            shapes.pop(name, None)  # training the output layer belongs to full training, not to an adapter of layers
    return shapes


def _text_modules(network: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield the modules that text runs through: what sees pictures is never run, and nothing there would be trained."""
    decoder = network.get_decoder() if network.config.get_text_config(decoder=True) is not network.config else network
    inside = set(decoder.modules())
    return ((name, module) for name, module in network.named_modules() if module in inside)


def _read_around_in(network: PreTrainedModel, modules: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return those `modules` whose parents use their weight without calling them, as the kernels of state spaces do.

    An adapter around them would be trained on some machines, and nowhere used on others.
    """
    parents: dict[str, type] = {name: type(network.get_submodule(name.rpartition(".")[0])) for name in modules}
    return {
        name: shape
        for name, shape in modules.items()
        if name.rpartition(".")[2] in _weights_read_by(parents[name]) and role_of(name) != "embeddings"
    }


@cache
def _weights_read_by(kind: type) -> frozenset[str]:
    sources = [inspect.getsource(each) for each in kind.__mro__ if each.__module__.startswith("transformers.models.")]
    return frozenset(re.findall(r"self\.(\w+)\.weight\b(?!\.(?:dtype|device|shape))", "\n".join(sources)))
