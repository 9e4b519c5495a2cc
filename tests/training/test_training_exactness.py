"""Loss and gradients of a forest equal those of the padded, unshared run."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import FAMILIES, padded_unshared_loss, sequence, tiny_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import AdapterConfig, LoraConfig, SoftPromptConfig
from tunelab.batching.forest import plant
from tunelab.models.attention import forest_attention
from tunelab.rendering.rendered import Rendered
from tunelab.training.forward import forest_loss

ADAPTERS: dict[str, AdapterConfig] = {
    "lora": LoraConfig(r=4, target_modules="all-linear"),
    "dora": LoraConfig(r=4, target_modules="attention", use_dora=True),
    "soft prompt": SoftPromptConfig(number_of_virtual_tokens=3),
}
SHAPES = {
    "a tree": [
        sequence([1, 2, 3], [4, 5]),
        sequence([1, 2, 3], [4, 6, 7]),
        sequence([1, 2, 3, 4, 5, 8], [9]),
        sequence([1, 9], [3]),
    ],
    "chains": [
        sequence([1, 2], [3, 4]),
        sequence([1, 2, 3, 4, 5], [6, 7]),
        sequence([1, 2, 3, 4, 5, 6, 7, 8], [9, 10]),
    ],
    "nothing shared": [sequence([1, 2, 3], [4]), sequence([5, 6], [7, 8, 9]), sequence([10], [11] * 7)],
    "equal sequences": [sequence([1, 2], [3, 4]), sequence([1, 2], [3, 4])],
    "a prefix of another": [sequence([1], [2, 3]), sequence([1], [2, 3, 4, 5])],
    "one token": [sequence([1], [2])],
    "plain text": [sequence([], [1, 2, 3, 4]), sequence([], [1, 2, 5])],
}


def _trained(family: str, config: AdapterConfig, *, dtype: torch.dtype = torch.float32) -> tuple[object, Adapter]:
    network = tiny_network(family, dtype=dtype)
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    for name, weight in adapter.named_parameters().items():
        if "magnitude" not in name:  # a fresh LoRA has a zero half, which would hide half of the gradients
            weight.data = torch.randn(weight.shape, generator=generator, dtype=dtype) * 0.05
        weight.data = weight.data.to(dtype)
    return network, adapter


def _loss_and_gradient(loss: torch.Tensor, adapter: Adapter) -> tuple[float, torch.Tensor]:
    weights = list(adapter.named_parameters().values())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    flat = [torch.zeros_like(w) if g is None else g for g, w in zip(gradients, weights, strict=True)]
    return float(loss.detach()), torch.cat([each.flatten() for each in flat])


def _assert_equal(network, adapter: Adapter, sequences: list[Rendered], *, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    loss, gradient = _loss_and_gradient(padded_unshared_loss(network, adapter, sequences), adapter)
    assert gradient.norm() > 0
    for share in (True, False):
        forest = plant(sequences, num_virtual_tokens=adapter.num_virtual_tokens, share=share)
        with forest_attention(network):
            forest_loss_, forest_gradient = _loss_and_gradient(forest_loss(network, adapter, forest), adapter)
        assert forest_loss_ == pytest.approx(loss, rel=tolerance)
        assert float((forest_gradient - gradient).norm() / gradient.norm()) < tolerance


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("adapter_name", ADAPTERS)
def test_a_forest_gives_the_loss_and_gradients_of_the_unshared_run(shape: str, adapter_name: str) -> None:
    network, adapter = _trained("llama", ADAPTERS[adapter_name])
    _assert_equal(network, adapter, SHAPES[shape], tolerance=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_on_forests(family: str) -> None:
    network, adapter = _trained(family, ADAPTERS["lora"])
    for shape in ("a tree", "chains", "nothing shared"):
        _assert_equal(network, adapter, SHAPES[shape], tolerance=1e-5)


TOKENS = st.integers(3, 6)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(sequence, st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, min_size=1, max_size=8)),
        min_size=1,
        max_size=7,
    )
)
def test_pain_21_random_forests_let_no_sequence_see_another(sequences: list[Rendered]) -> None:
    network, adapter = _trained("gemma3", ADAPTERS["lora"], dtype=torch.float64)
    _assert_equal(network, adapter, sequences, tolerance=1e-6)  # logits are compared in float32 inside the loss
