"""Models whose layers cannot branch take padded rows, with the loss and gradients of each row alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from networks import run_plan, sequence
from running_networks import RUNNING, running_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import AdapterConfig, LoraConfig, SoftPromptConfig
from tunelab.batching.padded_rows import plan_rows
from tunelab.batching.step_plan import plan_batches
from tunelab.rendering.rendered import Rendered
from tunelab.training.held_out_loss import held_out_loss
from tunelab.training.padded_loss import rows_loss

LORA = LoraConfig(r=4, target_modules="all-linear")
# peft takes the names of its shared expert for those of the others, whose weights are no layers.
LORA_OF = {"qwen3_next": LoraConfig(r=4, target_modules=["in_proj_qkvz", "in_proj_ba", "out_proj", "q_proj", "o_proj"])}
SOFT_PROMPT = SoftPromptConfig(number_of_virtual_tokens=3)
ROWS = [
    sequence([1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]),
    sequence([1, 2, 3, 4, 5], [6, 7, 12]),
    sequence([13], [14]),
    sequence([15, 16, 17], [18, 19]),
    sequence([], [20, 21, 22, 23]),
]


def with_adapter(network: PreTrainedModel, config: AdapterConfig) -> Adapter:
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    for weight in adapter.named_parameters().values():
        weight.data = (torch.randn(weight.shape, generator=generator) * 0.05).to(weight.dtype)
    return adapter


def loss_and_gradients(
    network, adapter: Adapter, sequences: list[Rendered], budget: int
) -> tuple[float, dict[str, torch.Tensor]]:  # type: ignore[no-untyped-def]
    """Return what a training step adds up."""
    plan = plan_rows(sequences, micro_batch_tokens=budget, num_virtual_tokens=adapter.num_virtual_tokens)
    total = run_plan(network, adapter, plan)
    return total, {name: weight.grad for name, weight in adapter.named_parameters().items()}


def each_row_alone(  # type: ignore[no-untyped-def]
    network, adapter: Adapter, sequences: list[Rendered], *, backward: bool = True
) -> tuple[float, dict[str, torch.Tensor]]:
    """Return loss and gradients of rows that run one at a time, in stock code."""
    weights, total = adapter.named_parameters(), 0.0
    for weight in weights.values():
        weight.grad = None
    for each in sequences:
        ids = torch.from_numpy(np.concatenate([each.prompt_ids, each.completion_ids])).long()
        embeddings = torch.cat([adapter.virtual_embeddings(), network.get_input_embeddings()(ids)])
        logits = network(inputs_embeds=embeddings[None], use_cache=False).logits[0]
        first = max(1, adapter.num_virtual_tokens + len(each.prompt_ids))
        targets = ids[first - adapter.num_virtual_tokens :]
        loss = functional.cross_entropy(logits[first - 1 : -1].float(), targets, reduction="sum")
        if backward:
            loss.backward()
        total += float(loss.detach())
    return total, {name: weight.grad for name, weight in weights.items()}


def relative_differences(network, adapter: Adapter, sequences: list[Rendered], *, budget: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Return how far the loss and the farthest gradient are from those of rows that run alone."""
    expected, expected_gradients = each_row_alone(network, adapter, sequences)
    loss, gradients = loss_and_gradients(network, adapter, sequences, budget)
    assert gradients
    missing = [name for name, gradient in expected_gradients.items() if gradient is None]
    assert not missing, "these weights are not trained at all"
    largest = max(float(gradient.norm()) for gradient in expected_gradients.values())
    far = [
        float((gradients[name] - gradient).norm() / max(float(gradient.norm()), 1e-3 * largest))
        for name, gradient in expected_gradients.items()
    ]
    return abs(loss - expected) / expected, max(far)


@pytest.mark.parametrize("family", RUNNING)
def test_padded_rows_give_the_loss_and_every_gradient_of_rows_alone(family: str) -> None:
    network = running_network(family)
    adapter = with_adapter(network, LORA_OF.get(family, LORA))
    assert max(relative_differences(network, adapter, ROWS, budget=20)) < 1e-5


@pytest.mark.parametrize("family", ["mamba2", "qwen3_next", "jamba", "bamba", "lfm2"])
def test_virtual_tokens_stand_before_every_padded_row(family: str) -> None:
    network = running_network(family)
    adapter = with_adapter(network, SOFT_PROMPT)
    assert max(relative_differences(network, adapter, ROWS, budget=20)) < 1e-5


@pytest.mark.parametrize("trained", ["embed_tokens", "lm_head", ("embed_tokens", "lm_head")])
def test_embeddings_and_head_trained_whole_are_those_that_padded_rows_run_through(
    trained: str | tuple[str, ...],
) -> None:
    network = running_network("bamba")
    adapter = with_adapter(network, LoraConfig(r=4, target_modules="all-linear", modules_to_save=trained))
    assert any("modules_to_save" in name for name in adapter.named_parameters())
    assert max(relative_differences(network, adapter, ROWS, budget=20)) < 1e-5


@pytest.mark.parametrize("budget", [1, 1000])
def test_the_budget_of_padded_rows_changes_nothing(budget: int) -> None:
    network = running_network("lfm2")
    adapter = with_adapter(network, LORA)
    assert max(relative_differences(network, adapter, ROWS, budget=budget)) < 1e-5


@pytest.mark.parametrize("share", [True, False])
def test_held_out_rows_have_the_loss_of_rows_alone(share: bool) -> None:
    network = running_network("bamba")
    adapter = with_adapter(network, LORA)
    loss, tokens = held_out_loss(network, adapter, ROWS, [(0, 1), (2, 3), (4,)], share=share, row_tokens=20)
    with torch.no_grad():
        assert loss * tokens == pytest.approx(each_row_alone(network, adapter, ROWS, backward=False)[0], rel=1e-5)


def test_a_forest_with_branches_is_no_batch_of_rows() -> None:
    network = running_network("lfm2")
    adapter = with_adapter(network, LORA)
    (forest,) = plan_batches([ROWS[:2]]).forests
    with pytest.raises(ValueError, match="rows share no token"):
        rows_loss(network, adapter, forest)


def test_rows_run_in_batches_of_similar_lengths_within_the_budget_and_lose_no_trained_token() -> None:
    plan = plan_rows(ROWS, micro_batch_tokens=20)
    padded = [len(forest.segment_starts_S) * (int(forest.depths_N.max()) + 1) for forest in plan.forests]
    assert padded == [11, 16, 8]
    assert plan.num_trained == sum(len(each.completion_ids) for each in ROWS) - 1  # plain text's first has no source
    assert plan.num_real_tokens == sum(each.num_tokens for each in ROWS) == plan.num_nodes
    assert len(plan.root_ids_R) == 0
