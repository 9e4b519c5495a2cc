"""Loss and gradients of a forest equal those of the padded, unshared run."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import FAMILIES, padded_unshared_loss, run_plan, sequence, tiny_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import AdapterConfig, FullConfig, LoraConfig, PrefixTuningConfig, SoftPromptConfig
from tunelab.adapters.ia3 import Ia3Config
from tunelab.batching.step_plan import StepPlan, plan_batches, plan_step
from tunelab.rendering.rendered import Rendered

ADAPTERS: dict[str, AdapterConfig] = {
    "lora": LoraConfig(r=4, target_modules="all-linear"),
    "dora": LoraConfig(r=4, target_modules="attention", use_dora=True),
    "lora by layer": LoraConfig(
        r=4, target_modules="all-linear", rank_pattern={r".*\.0\..*": 2}, exclude_modules="mlp"
    ),
    "pissa": LoraConfig(r=4, target_modules="attention", init_lora_weights="pissa"),
    "soft prompt": SoftPromptConfig(number_of_virtual_tokens=3),
    "ia3": Ia3Config(),
    "full": FullConfig(),
    "prefix": PrefixTuningConfig(number_of_virtual_tokens=3),
    "prefix longer than the window": PrefixTuningConfig(number_of_virtual_tokens=6),
    "projected prefix": PrefixTuningConfig(number_of_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5),
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


def _plan_loss_and_gradient(network, adapter: Adapter, plan: StepPlan) -> tuple[float, torch.Tensor]:  # type: ignore[no-untyped-def]
    """Return what a training step adds up over its micro-batches."""
    total = run_plan(network, adapter, plan)
    weights = adapter.named_parameters().values()
    flat = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    return total, torch.cat([each.flatten() for each in flat])


def _assert_plan_gives(  # type: ignore[no-untyped-def]
    loss: float, gradient: torch.Tensor, network, adapter: Adapter, plan: StepPlan, *, tolerance: float
) -> None:
    plan_loss, plan_gradient = _plan_loss_and_gradient(network, adapter, plan)
    assert plan_loss == pytest.approx(loss, rel=tolerance)
    assert float((plan_gradient - gradient).norm() / gradient.norm()) < tolerance


def _assert_equal(network, adapter: Adapter, sequences: list[Rendered], *, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    loss, gradient = _loss_and_gradient(padded_unshared_loss(network, adapter, sequences), adapter)
    assert gradient.norm() > 0
    for share in (True, False):
        plan = plan_batches([sequences], num_virtual_tokens=adapter.num_virtual_tokens, share=share)
        _assert_plan_gives(loss, gradient, network, adapter, plan, tolerance=tolerance)


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


TRUNK = [1, 2, 3, 4, 5]
UNDER_A_TRUNK = [
    sequence([*TRUNK, 6], [7, 8]),
    sequence([*TRUNK, 6], [7, 9, 10]),
    sequence([*TRUNK, 6, 7, 8, 11], [12]),
    sequence([*TRUNK, 13], [3]),
    sequence([*TRUNK, 14, 15], [3, 4, 5]),
]


def _assert_cuts_change_nothing(  # type: ignore[no-untyped-def]
    network, adapter: Adapter, sequences: list[Rendered], budgets: Sequence[int], *, tolerance: float
) -> None:
    loss, gradient = _loss_and_gradient(padded_unshared_loss(network, adapter, sequences), adapter)
    assert gradient.norm() > 0
    for budget in budgets:
        virtual = adapter.num_virtual_tokens
        plan = plan_step(sequences, micro_batch_tokens=budget, num_virtual_tokens=virtual, shortest_root=1)
        if len(plan.forests) > 1:
            assert len(plan.root_ids_R) >= adapter.num_virtual_tokens
        _assert_plan_gives(loss, gradient, network, adapter, plan, tolerance=tolerance)


@pytest.mark.parametrize("adapter_name", ADAPTERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_root_that_runs_once_changes_neither_loss_nor_gradients(family: str, adapter_name: str) -> None:
    network, adapter = _trained(family, ADAPTERS[adapter_name])
    _assert_cuts_change_nothing(network, adapter, UNDER_A_TRUNK, (1, 5, 8, 100), tolerance=1e-5)


WHOLE = {
    "llama": ("embed_tokens", "lm_head", "norm"),
    "qwen3": ("embed_tokens",),
    "gemma3": ("lm_head", "layers.1.input_layernorm"),  # tied, as GPT-2's
    "gpt2": ("wte", "wpe"),
}


@pytest.mark.parametrize("family", WHOLE)
def test_modules_trained_whole_get_the_gradients_of_the_unshared_run(family: str) -> None:
    config = LoraConfig(r=4, target_modules="attention", modules_to_save=WHOLE[family])
    network, adapter = _trained(family, config)
    whole = [weight for name, weight in adapter.named_parameters().items() if "modules_to_save" in name]
    assert whole
    for shape in ("a tree", "nothing shared"):
        _assert_equal(network, adapter, SHAPES[shape], tolerance=1e-5)
    _assert_cuts_change_nothing(network, adapter, UNDER_A_TRUNK, (1, 5, 8, 100), tolerance=1e-5)
    assert all(weight.grad is not None and weight.grad.norm() > 0 for weight in whole)


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_a_window_of_four_that_only_prefix_and_tokens_together_fill_is_minded(family: str) -> None:
    network, adapter = _trained(family, ADAPTERS["prefix"])
    short = [sequence([1, 2, 3], [4]), sequence([1, 2, 3], [5])]
    _assert_cuts_change_nothing(network, adapter, short, (1, 100), tolerance=1e-5)


def test_a_root_survives_gradient_checkpointing() -> None:
    network, adapter = _trained("llama", ADAPTERS["lora"])
    network.train()  # type: ignore[attr-defined]
    network.activation_checkpointing_enable({"use_reentrant": False})  # type: ignore[attr-defined]
    plain, plain_adapter = _trained("llama", ADAPTERS["lora"])
    plan = plan_step(UNDER_A_TRUNK, micro_batch_tokens=5, shortest_root=1)
    assert len(plan.root_ids_R) == len(TRUNK)
    loss, gradient = _plan_loss_and_gradient(network, adapter, plan)
    plain_loss, plain_gradient = _plan_loss_and_gradient(plain, plain_adapter, plan)
    assert loss == pytest.approx(plain_loss, rel=1e-6)
    assert float((gradient - plain_gradient).norm() / plain_gradient.norm()) < 1e-6


TOKENS = st.integers(3, 6)
SEQUENCES = st.builds(sequence, st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, min_size=1, max_size=8))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(SEQUENCES, min_size=1, max_size=7),
    st.sampled_from(("lora", "prefix", "prefix longer than the window")),
)
def test_pain_21_random_forests_let_no_sequence_see_another(sequences: list[Rendered], adapter_name: str) -> None:
    network, adapter = _trained("gemma3", ADAPTERS[adapter_name], dtype=torch.float64)
    _assert_equal(network, adapter, sequences, tolerance=1e-6)  # logits are compared in float32 inside the loss


@settings(max_examples=25, deadline=None)
@given(
    st.lists(SEQUENCES, min_size=2, max_size=7),
    st.integers(1, 40),
    st.sampled_from(("lora", "prefix")),
)
def test_random_cuts_of_random_steps_change_nothing(sequences: list[Rendered], budget: int, adapter_name: str) -> None:
    network, adapter = _trained("qwen3", ADAPTERS[adapter_name], dtype=torch.float64)
    under_one_root = [sequence([1, 2, *each.prompt_ids.tolist()], each.completion_ids.tolist()) for each in sequences]
    _assert_cuts_change_nothing(network, adapter, under_one_root, (budget,), tolerance=1e-6)
