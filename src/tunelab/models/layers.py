"""Layers by role: which modules of a network an adapter trains, each wish matched or refused."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from tunelab.errors import AdapterError, did_you_mean

ROLES = ("attention", "mlp", "all-linear", "embeddings")

_ATTENTION_WORDS = ("attn", "attention")
_MLP_WORDS = ("mlp", "ffn", "feed_forward", "feedforward", "experts")
# Names that other models split and this one may have fused.
_FUSED = {
    "q_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "k_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "v_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "o_proj": ("out_proj", "dense", "c_proj"),
    "gate_proj": ("gate_up_proj", "c_fc"),
    "up_proj": ("gate_up_proj", "c_fc"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One wish and the modules it matched."""

    wish: str
    """The role or name as the recipe gave it."""
    modules: tuple[str, ...]
    """Full names of the modules, e.g. ``model.layers.0.self_attn.qkv_proj``."""
    shapes: tuple[tuple[int, int], ...]
    """(inputs, outputs) of each module."""
    num_layers: int
    """Layers of the network, to see whether a wish reaches all of them."""
    left_out: tuple[str, ...] = ()
    """Last parts of the names that belong to the role and cannot be adapted: their weights are read around them."""

    @property
    def num_reached(self) -> int:
        """Layers in which at least one module was matched; modules outside the layers do not count."""
        numbers = {part for module in self.modules for part in module.split(".") if part.isdigit()}
        return len(numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The last parts of the modules' names, each once."""
        return tuple(dict.fromkeys(module.rsplit(".", 1)[-1] for module in self.modules))

    def num_lora_weights(self, rank: int) -> int:
        """Trainable weights of LoRA at `rank` over these modules."""
        return sum(rank * (inputs + outputs) for inputs, outputs in self.shapes)


def find_targets(network: PreTrainedModel, wishes: str | Sequence[str]) -> list[Target]:
    """Return what each wish matches.

    Args:
        network: may lie on the meta device.
        wishes: a role (`attention`, `mlp`, `all-linear`, `embeddings`), a module name, or several of them.

    Raises:
        AdapterError: a wish matches nothing; the message proposes the fused or nearest name and the roles.
    """
    adaptable = _adaptable(network)
    around = _read_around_in(network, adaptable)
    modules = {name: shape for name, shape in adaptable.items() if name not in around}
    wanted = [wishes] if isinstance(wishes, str) else list(wishes)
    unmatched = [wish for wish in wanted if not _match(wish, modules)]
    if unmatched:
        _refuse_read_around(network, [wish for wish in unmatched if _match(wish, around)])
        _refuse(network, unmatched, modules)
    num_layers = int(getattr(network.config.get_text_config(), "num_hidden_layers", 0))
    return [
        Target(
            wish=wish,
            modules=tuple(names := _match(wish, modules)),
            shapes=tuple(modules[name] for name in names),
            num_layers=num_layers,
            left_out=tuple(dict.fromkeys(name.rsplit(".", 1)[-1] for name in _match(wish, around))),
        )
        for wish in wanted
    ]


def _adaptable(network: PreTrainedModel) -> dict[str, tuple[int, int]]:
    shapes: dict[str, tuple[int, int]] = {}
    for name, module in network.named_modules():
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


def _read_around_in(network: PreTrainedModel, modules: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return those `modules` whose parents use their weight without calling them, as the kernels of state spaces do.

    An adapter around them would be trained on some machines, and nowhere used on others.
    """
    parents: dict[str, type] = {name: type(network.get_submodule(name.rpartition(".")[0])) for name in modules}
    return {
        name: shape
        for name, shape in modules.items()
        if name.rpartition(".")[2] in _weights_read_by(parents[name]) and _role(name) != "embeddings"
    }


@cache
def _weights_read_by(kind: type) -> frozenset[str]:
    sources = [inspect.getsource(each) for each in kind.__mro__ if each.__module__.startswith("transformers.models.")]
    return frozenset(re.findall(r"self\.(\w+)\.weight\b(?!\.(?:dtype|device|shape))", "\n".join(sources)))


def _match(wish: str, modules: dict[str, tuple[int, int]]) -> list[str]:
    if wish in ROLES:
        return [
            name for name in modules if _role(name) == wish or (wish == "all-linear" and _role(name) != "embeddings")
        ]
    return [name for name in modules if name == wish or name.endswith(f".{wish}")]


def _role(name: str) -> str:
    parts = name.lower().split(".")
    if any("embed" in part or part in ("wte", "wpe") for part in parts):
        return "embeddings"
    if any(word in part for part in parts[:-1] for word in _ATTENTION_WORDS):
        return "attention"
    if any(word in part for part in parts[:-1] for word in _MLP_WORDS):
        return "mlp"
    return "linear"


def _refuse_read_around(network: PreTrainedModel, wishes: Sequence[str]) -> None:
    if wishes:
        raise AdapterError(
            f"{', '.join(wishes)} of {network.config.model_type} cannot be adapted: its kernels read the weights "
            "around the layer, so that what is trained would not be used",
            where="lora.target_modules",
            remedy="Take all-linear, which leaves such layers out, or other names.",
        )


def _refuse(network: PreTrainedModel, unmatched: Sequence[str], modules: dict[str, tuple[int, int]]) -> None:
    names = list(dict.fromkeys(name.rsplit(".", 1)[-1] for name in modules))
    fused = sorted({here for wish in unmatched for here in _FUSED.get(wish, ()) if here in names})
    split = [here for here in names for wish in unmatched if wish in _FUSED.get(here, ())]
    hints = [f"In this model they are fused: use {', '.join(fused)}."] if fused else []
    hints += [f"In this model they are apart: use {', '.join(split)}."] if split else []
    hints += [] if hints else dict.fromkeys(did_you_mean(wish, names) for wish in unmatched)
    kind = getattr(network.config, "model_type", "this model")
    raise AdapterError(
        f"{', '.join(unmatched)} match{'es' if len(unmatched) == 1 else ''} no layer of {kind}",
        where="lora.target_modules",
        expected=f"names among {', '.join(names)}",
        remedy=f"{' '.join(hints)} Or name a role: {', '.join(ROLES)}.",
    )
