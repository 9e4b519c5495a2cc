"""Networks whose answers differ from prompt to prompt, and prompts that repeat each other as agents' do."""

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, PreTrainedModel

from networks import _SIZES, FAMILIES
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import PrefixTuningConfig

SHAPES = {
    **FAMILIES,
    "windowed and full layers": Gemma3TextConfig(
        **_SIZES, head_dim=12, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
    ),
}


def lively_network(shape: str) -> PreTrainedModel:
    """Return a random network whose answers differ from prompt to prompt."""
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(SHAPES[shape])
    generator = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        if weight.ndim > 1:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.4
    network.tie_weights()
    return network.requires_grad_(False).eval()  # type: ignore[no-any-return]


def moved_prefix(network: PreTrainedModel, *, positions: int = 6) -> Adapter:
    config = PrefixTuningConfig(number_of_virtual_tokens=positions)
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=3)
    generator = torch.Generator().manual_seed(1)
    for weight in adapter.named_parameters().values():
        weight.data += torch.randn(weight.shape, generator=generator)
    return adapter


def sessions(*, calls: int = 5, seed: int = 4) -> list[np.ndarray]:
    """Return the prompts of three agents, each call of which repeats the ones before it; two are the same."""
    draw = np.random.default_rng(seed)
    system = draw.integers(3, 50, size=20)
    prompts = []
    for _ in range(3):
        prompt = np.concatenate([system, draw.integers(3, 50, size=draw.integers(2, 8))])
        for _ in range(calls):
            prompts.append(prompt.astype(np.int32))
            prompt = np.concatenate([prompt, draw.integers(3, 50, size=draw.integers(1, 9))])
    order = draw.permutation(len(prompts))
    return [*(prompts[place] for place in order), prompts[2]]


def distinct_tokens(prompts: list[np.ndarray]) -> int:
    return len({tuple(prompt[: end + 1].tolist()) for prompt in prompts for end in range(len(prompt))})
