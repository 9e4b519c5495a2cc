"""Head and loss a chunk of tokens at a time: nothing changes but the memory."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GraniteConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from networks import _SIZES, FAMILIES, padded_unshared_loss, run_plan, sequence, tiny_network
from running_networks import running_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import AdapterConfig, FullConfig, LoraConfig
from tunelab.batching.step_plan import plan_batches
from tunelab.models.branching import cannot_branch
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.models.logit_rule import LogitRule, logit_rule
from tunelab.training import head_loss
from tunelab.training.held_out_loss import held_out_loss

HEADS: dict[str, tuple[PretrainedConfig, LogitRule]] = {
    "as it is, untied": (LlamaConfig(**_SIZES), LogitRule()),
    "as it is, tied": (LlamaConfig(**_SIZES, tie_word_embeddings=True), LogitRule()),
    "with a bias": (PhiConfig(**_SIZES), LogitRule()),
    "capped": (
        Gemma2Config(**_SIZES, head_dim=8, final_logit_softcapping=0.3, attn_logit_softcapping=None),
        LogitRule(cap=0.3),
    ),
    "scaled": (CohereConfig(**_SIZES, logit_scale=0.25), LogitRule(scale=0.25)),
    "divided": (GraniteConfig(**_SIZES, logits_scaling=3.0), LogitRule(scale=1 / 3)),
}
ADAPTERS: dict[str, AdapterConfig] = {
    "lora": LoraConfig(r=4, target_modules="all-linear"),
    "head trained whole": LoraConfig(r=4, target_modules="attention", modules_to_save=("lm_head",)),
    "full": FullConfig(),
}
ROWS = [
    sequence([1, 2, 3], [4, 5, 6, 7, 8]),
    sequence([1, 2, 3], [4, 6, 7]),
    sequence([1, 2, 3], [4, 6, 7]),
    sequence([9, 8], [7, 6, 5, 4, 3, 2, 10]),
]


@pytest.fixture
def three_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_loss, "chunk_tokens", lambda *_, **__: 3)


def network_of(config: PretrainedConfig, kind: Callable[..., PreTrainedModel] = AutoModelForCausalLM.from_config):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    network = kind(config)
    for weight in network.parameters():
        weight.data = torch.randn_like(weight) * 0.2  # larger than at a start, so that caps and biases show
    return network.requires_grad_(False).eval()


def with_adapter(network: PreTrainedModel, config: AdapterConfig) -> Adapter:
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    for weight in adapter.named_parameters().values():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    return adapter


def assert_as_stock_code(network: PreTrainedModel, adapter: Adapter) -> None:
    """Compare loss and gradients of a forest with those of padded rows through the network's own forward."""
    weights = list(adapter.named_parameters().values())
    loss = padded_unshared_loss(network, adapter, ROWS)
    expected = torch.autograd.grad(loss, weights, allow_unused=True)
    found = run_plan(network, adapter, plan_batches([ROWS]))
    assert found == pytest.approx(float(loss.detach()), rel=1e-5)
    for weight, gradient in zip(weights, expected, strict=True):
        assert (weight.grad is None) == (gradient is None)
        if gradient is not None and weight.grad is not None:
            assert float((weight.grad - gradient).norm()) <= 1e-5 * float(gradient.norm()) + 1e-9


@pytest.mark.usefixtures("three_at_a_time")
@pytest.mark.parametrize("adapter_name", ADAPTERS)
@pytest.mark.parametrize("head", HEADS)
def test_chunks_give_the_loss_and_gradients_of_whole_logits(head: str, adapter_name: str) -> None:
    network = network_of(HEADS[head][0])
    assert_as_stock_code(network, with_adapter(network, ADAPTERS[adapter_name]))


@pytest.mark.parametrize("head", HEADS)
def test_a_trial_finds_what_lies_between_head_and_logits(head: str) -> None:
    config, rule = HEADS[head]
    found = logit_rule(network_of(config))
    assert found is not None
    assert (found.scale, found.cap) == (pytest.approx(rule.scale), pytest.approx(rule.cap))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_takes_chunks(family: str) -> None:
    assert logit_rule(tiny_network(family)) == LogitRule()


class Suppressing(LlamaForCausalLM):
    """A network that never writes word 7."""

    def forward(self, **inputs: object) -> object:  # type: ignore[override]
        output = super().forward(**inputs)  # type: ignore[arg-type]
        output.logits[..., 7] = output.logits[..., 7] - 3
        return output


class CallingTwice(LlamaForCausalLM):
    """A network that runs its head twice."""

    def forward(self, **inputs: object) -> object:  # type: ignore[override]
        output = super().forward(**inputs)  # type: ignore[arg-type]
        self.lm_head(torch.zeros(1, 1, self.config.hidden_size))
        return output


def test_a_network_that_does_something_else_to_its_logits_keeps_computing_them_itself() -> None:
    network = network_of(LlamaConfig(**_SIZES), Suppressing)
    assert logit_rule(network) is None
    assert_as_stock_code(network, with_adapter(network, ADAPTERS["lora"]))


def test_a_head_that_runs_twice_is_not_taken_apart() -> None:
    assert logit_rule(network_of(LlamaConfig(**_SIZES), CallingTwice)) is None


@pytest.mark.usefixtures("three_at_a_time")
@pytest.mark.parametrize("family", ["llama", "bamba"])
def test_logits_never_exist_whole_in_training_and_held_out_loss(family: str) -> None:
    network = tiny_network() if family == "llama" else running_network(family)
    adapter = with_adapter(network, LoraConfig(r=2, target_modules="attention"))
    assert (cannot_branch(network) is None) == (family == "llama")
    assert logit_rule(network) is not None
    rows: list[int] = []
    network.get_output_embeddings().register_forward_hook(lambda _, __, logits: rows.append(logits.shape[-2]))
    run_plan(network, adapter, plan_batches([ROWS], share=False))
    held_out_loss(network, adapter, ROWS, [(0, 1, 2, 3)], share=False)
    trained = sum(len(each.completion_ids) for each in ROWS)
    assert [each for each in rows if each] == [3] * (trained // 3) * 2
    assert trained % 3 == 0


def test_float16_keeps_the_gradients_of_rare_words() -> None:
    torch.manual_seed(0)
    head, hidden = torch.nn.Linear(8, 512).requires_grad_(False), torch.randn(4, 8)
    head.bias[0] += 20  # each other word has a chance of some 2e-9, which float16 rounds to 0
    targets, weights = torch.zeros(4, dtype=torch.long), torch.full((4,), 100.0)

    def gradient(dtype: torch.dtype) -> torch.Tensor:
        own, states = head.to(dtype), hidden.to(dtype).requires_grad_()

        def loss_of(chunk: slice, some: torch.Tensor) -> torch.Tensor:
            return head_loss._weighted_loss(own(some), targets[chunk], weights[chunk])

        loss = head_loss._summed(own, loss_of, states, vocabulary=512, heaviest=100.0)
        (found,) = torch.autograd.grad(loss * 2**14, states)  # as a GradScaler would
        return found.float()

    exact = gradient(torch.float32)
    assert float((gradient(torch.float16) - exact).norm() / exact.norm()) < 0.02


def test_a_chunk_has_as_many_tokens_as_fit_into_a_fixed_size() -> None:
    assert chunk_tokens(49_152, on_gpu=False) == 170
    assert chunk_tokens(2_048, on_gpu=False) == 4_096
    assert chunk_tokens(200_064, on_gpu=True) == 670
    assert chunk_tokens(10**9, on_gpu=False) == 1
