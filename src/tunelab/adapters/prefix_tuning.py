"""Prefix tuning: trained keys and values in front of every layer's own, saved as peft's PREFIX_TUNING.

Letters in shapes: V prefix positions, L layers, G key/value heads, D head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import peft
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from tunelab.adapters.adapter import Adapter, no_virtual_embeddings
from tunelab.adapters.config import PrefixTuningConfig
from tunelab.adapters.peft_folder import read_peft_folder, write_peft_folder
from tunelab.errors import AdapterError
from tunelab.models.attention import sliding_windows
from tunelab.models.branching import network_kinds

_WEIGHT = "prompt_embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    layers: int
    heads: int
    width: int

    @property
    def numbers(self) -> int:
        """Numbers of one prefix position."""
        return self.layers * 2 * self.heads * self.width


class Prefix(Adapter):
    """Keys and values that every token sees as its first ancestors; the network itself stays untouched."""

    num_virtual_tokens = 0

    def __init__(
        self, network: PreTrainedModel, encoder: peft.PrefixEncoder, shape: _Shape, *, base_model: str
    ) -> None:
        # Trained in float32 whatever the base is stored in: small updates vanish in half precision.
        self._encoder = encoder.float().to(network.device)
        self._network, self._shape, self._base_model, self._on = network, shape, base_model, True

    @property
    def num_prefix_positions(self) -> int:
        """Prefix positions in front of every sequence; 0 while switched off."""
        return self._encoder.embedding.num_embeddings if self._on else 0

    @property
    def description(self) -> tuple[str, ...]:
        """One line with the shape of the prefix, and one for layers whose window loses it."""
        encoder, shape = self._encoder, self._shape
        positions = f"{encoder.embedding.num_embeddings} prefix positions in {shape.layers} layers"
        heads = f"{shape.heads} key/value heads of width {shape.width}"
        through = f", through {encoder.transform[0].out_features} hidden units" if encoder.prefix_projection else ""
        lines = [f"{positions}, {heads}{through}"]
        if windows := sliding_windows(self._network):
            lines.append(
                f"{len(windows)} layers see {min(windows):,} positions back: beyond that, the prefix is out of reach"
            )
        return tuple(lines)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the prefix itself, or vectors and projection that it is computed from, by name, sorted."""
        return dict(sorted(self._encoder.named_parameters()))

    def virtual_embeddings(self) -> torch.Tensor:
        """Return (0, hidden): a prefix has no input embeddings."""
        return no_virtual_embeddings(self._network)

    def prefix_keys_values(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the (1, G, V, D) keys and values of each layer, float32; nothing while switched off."""
        if not self._on:
            return []
        shape = self._shape
        flat = self._flat().view(-1, shape.layers, 2, 1, shape.heads, shape.width)
        return [(keys, values) for keys, values in flat.permute(1, 2, 3, 4, 0, 5)]

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the network answer as the base model within the context."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors into an existing folder.

        A projection is folded into the prefix that it computes; the folder holds none.
        """
        shape = self._shape
        settings = peft.PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self._encoder.embedding.num_embeddings,
            token_dim=shape.heads * shape.width,
            num_transformer_submodules=1,
            num_attention_heads=shape.heads,
            num_layers=shape.layers,
            prefix_projection=False,
            base_model_name_or_path=self._base_model,
            inference_mode=True,
        )
        with torch.no_grad():
            write_peft_folder(folder, settings, {_WEIGHT: self._flat()})

    def _flat(self) -> torch.Tensor:
        """Return the (V, 2 * L * G * D) numbers as peft lays them out."""
        places = torch.arange(self._encoder.embedding.num_embeddings, device=self._network.device)
        with torch.autocast(places.device.type, enabled=False):
            flat: torch.Tensor = self._encoder(places)
        return flat


def attach(network: PreTrainedModel, config: PrefixTuningConfig, *, base_model: str, seed: int, **_: object) -> Adapter:
    """Return a fresh prefix for `network`.

    A plain prefix starts as the keys and values that the network computes for random vocabulary: normal noise, which
    no layer has ever seen, costs most of the training to get rid of. A projection starts as peft's does.

    Args:
        network: the base model.
        config: number of positions, and the projection.
        base_model: what the saved adapter names as its base.
        seed: of the initial values.

    Raises:
        AdapterError: the network has no keys and values that stock peft could put a prefix before, or no position
            is left after the prefix.
    """
    number = config.number_of_virtual_tokens
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    if positions and number >= positions:
        raise AdapterError(
            f"a prefix of {number:,} positions leaves none for a token",
            where="prefix_tuning.number_of_virtual_tokens",
            expected=f"fewer than the {positions:,} positions of the base model",
        )
    if config.prefix_projection:
        shape = _shape(_computed(network, np.zeros(1, dtype=np.int64)))
        encoder = _encoder(number, shape, hidden=config.encoder_hidden_size, seed=seed)
    else:
        ids = np.random.default_rng(seed).choice(network.get_input_embeddings().num_embeddings, size=number)
        computed = _computed(network, ids)
        shape = _shape(computed)
        flat = torch.stack([torch.stack(pair) for pair in computed]).permute(4, 0, 1, 2, 3, 5)
        encoder = _plain(flat.reshape(number, shape.numbers), shape)
    return Prefix(network, encoder, shape, base_model=base_model)


def load(network: PreTrainedModel, folder: Path) -> Adapter:
    """Return the prefix saved in `folder`, ready to answer.

    Raises:
        AdapterError: it was made for layers, heads or widths that are not the network's.
    """
    settings, weights = read_peft_folder(folder)
    shape = _shape(_computed(network, np.zeros(1, dtype=np.int64)))
    flat = weights.get(_WEIGHT)
    if flat is None or flat.ndim != 2 or flat.shape[1] != shape.numbers:
        seen = "no prompt_embeddings" if flat is None else f"prompt_embeddings of shape {tuple(flat.shape)}"
        raise AdapterError(
            f"the prefix holds {seen}",
            where=str(folder),
            expected=f"{shape.numbers:,} numbers for each position "
            f"({shape.layers} layers, {shape.heads} key/value heads of width {shape.width})",
        )
    return Prefix(network, _plain(flat, shape), shape, base_model=str(settings["base_model_name_or_path"]))


def _computed(network: PreTrainedModel, token_ids_V: np.ndarray) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the (1, G, V, D) keys and values that each layer of the network computes for some tokens.

    Raises:
        AdapterError: some layers keep none.
    """
    text_config = network.config.get_text_config()
    if kinds := network_kinds(network):
        raise _unfit(f"this model has layers of kind {', '.join(kinds)}")
    cache = DynamicCache()
    ids = torch.from_numpy(token_ids_V)[None].to(network.device)
    with torch.no_grad():
        network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    layers = [(layer.keys, layer.values) for layer in cache.layers if layer.is_initialized]
    if len(layers) < text_config.num_hidden_layers:
        shared = text_config.num_hidden_layers - len(layers)
        raise _unfit(f"{shared} layers of this model take the keys and values of other layers")
    return layers


def _shape(computed: list[tuple[torch.Tensor, torch.Tensor]]) -> _Shape:
    shapes = {(each.shape[1], each.shape[3]) for pair in computed for each in pair}
    if len(shapes) > 1:
        shapes_in_words = " and ".join(f"{heads} heads of width {width}" for heads, width in sorted(shapes))
        raise _unfit(f"keys and values of this model differ from layer to layer ({shapes_in_words})")
    ((heads, width),) = shapes
    return _Shape(layers=len(computed), heads=heads, width=width)


def _unfit(what: str) -> AdapterError:
    expected = "keys and values of one shape in every layer, which is what peft's prefix tuning puts a prefix before"
    return AdapterError(what, where="prefix_tuning", expected=expected, remedy="Train a LoRA adapter or a soft prompt.")


def _plain(flat: torch.Tensor, shape: _Shape) -> peft.PrefixEncoder:
    encoder = _encoder(len(flat), shape)
    encoder.load_prompt_embeddings(flat)
    return encoder


def _encoder(number: int, shape: _Shape, *, hidden: int | None = None, seed: int = 0) -> peft.PrefixEncoder:
    """Return peft's encoder of a plain prefix, or of one that is projected through `hidden` units."""
    settings = peft.PrefixTuningConfig(
        num_virtual_tokens=number,
        token_dim=shape.heads * shape.width,
        num_attention_heads=shape.heads,
        num_layers=shape.layers,
        prefix_projection=hidden is not None,
        encoder_hidden_size=hidden,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return peft.PrefixEncoder(settings)
