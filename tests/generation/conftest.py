from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

STOP = 2


@pytest.fixture(scope="session")
def network() -> LlamaForCausalLM:
    """A random Llama that ends most answers by itself within a few dozen tokens."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=61,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        initializer_range=0.4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=STOP,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config).requires_grad_(False).eval()


@pytest.fixture
def prompts() -> list[np.ndarray]:
    draw = np.random.default_rng(5)
    return [draw.integers(3, 61, size=size).astype(np.int32) for size in (4, 31, 9, 17, 9, 2, 40, 23)]


class FakeAdapter:
    """Virtual tokens without training."""

    num_prefix_positions = 0

    def __init__(self, vectors: torch.Tensor) -> None:
        self.vectors = vectors

    @property
    def num_virtual_tokens(self) -> int:
        return len(self.vectors)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        return {}

    def virtual_embeddings(self) -> torch.Tensor:
        return self.vectors

    def prefix_keys_values(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return []

    @contextmanager
    def disabled(self) -> Iterator[None]:
        vectors = self.vectors
        self.vectors = vectors[:0]
        try:
            yield
        finally:
            self.vectors = vectors

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def with_virtual_tokens() -> type[FakeAdapter]:
    return FakeAdapter


@pytest.fixture
def virtual(network: LlamaForCausalLM) -> FakeAdapter:
    return FakeAdapter(torch.randn(40, network.config.hidden_size, generator=torch.Generator().manual_seed(3)))
