"""Soft prompt: trained vectors in front of every prompt, saved as peft's PROMPT_TUNING."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import peft
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.config import SoftPromptConfig
from tunelab.adapters.peft_folder import read_peft_folder, write_peft_folder
from tunelab.errors import AdapterError

_WEIGHT = "prompt_embeddings"


class SoftPrompt(Adapter):
    """Virtual tokens whose embeddings are trained; the network itself stays untouched."""

    num_prefix_positions = 0

    def __init__(self, network: PreTrainedModel, vectors: torch.Tensor, *, base_model: str) -> None:
        # Trained in float32 whatever the base is stored in: small updates vanish in half precision.
        self._vectors = torch.nn.Parameter(vectors.detach().clone().float())
        self._network, self._base_model, self._on = network, base_model, True

    @property
    def num_virtual_tokens(self) -> int:
        """Virtual tokens in front of every sequence; 0 while switched off."""
        return len(self._vectors) if self._on else 0

    @property
    def description(self) -> tuple[str, ...]:
        """One line with the shape of the vectors."""
        return (f"{len(self._vectors)} virtual tokens of width {self._vectors.shape[1]}",)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the (num_virtual_tokens, hidden) vectors under their one name."""
        return {_WEIGHT: self._vectors}

    def virtual_embeddings(self) -> torch.Tensor:
        """Return the (num_virtual_tokens, hidden) vectors; no rows while switched off."""
        return self._vectors[: self.num_virtual_tokens]

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the network answer as the base model within the context."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors into an existing folder."""
        text = self._network.config.get_text_config()
        settings = peft.PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=len(self._vectors),
            token_dim=self._vectors.shape[1],
            num_transformer_submodules=1,
            num_attention_heads=getattr(text, "num_attention_heads", None),  # a state space has none
            num_layers=text.num_hidden_layers,
            base_model_name_or_path=self._base_model,
            inference_mode=True,
        )
        write_peft_folder(folder, settings, {_WEIGHT: self._vectors.detach()})


def attach(
    network: PreTrainedModel, config: SoftPromptConfig, *, init_ids: NDArray[np.int32], base_model: str, seed: int
) -> Adapter:
    """Return a fresh soft prompt for `network`.

    Args:
        network: the base model.
        config: number of virtual tokens.
        init_ids: token ids of `init_prompt`, repeated or cut to fit; empty starts from random vocabulary by `seed`.
        base_model: what the saved adapter names as its base.
        seed: of the random start.
    """
    embed = network.get_input_embeddings()
    number = config.number_of_virtual_tokens
    if len(init_ids):
        ids = np.resize(init_ids, number)
    else:
        ids = np.random.default_rng(seed).choice(embed.num_embeddings, size=number)
    with torch.no_grad():
        vectors = embed(torch.from_numpy(ids.astype(np.int64)).to(embed.weight.device))
    return SoftPrompt(network, vectors, base_model=base_model)


def load(network: PreTrainedModel, folder: Path) -> Adapter:
    """Return the soft prompt saved in `folder`, ready to answer.

    Raises:
        AdapterError: its vectors are not of the network's width.
    """
    settings, weights = read_peft_folder(folder)
    width = network.get_input_embeddings().weight.shape[1]
    vectors = weights.get(_WEIGHT)
    if vectors is None or vectors.shape[1] != width:
        seen = "no prompt_embeddings" if vectors is None else f"vectors of width {vectors.shape[1]}"
        raise AdapterError(
            f"the soft prompt holds {seen}", where=str(folder), expected=f"prompt_embeddings of width {width}"
        )
    return SoftPrompt(network, vectors.to(network.device), base_model=str(settings["base_model_name_or_path"]))
