"""Pains 18 and 19: memory is told before the first step, and measuring does not take more of it than training."""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from networks import sequence, tiny_network
from tiny_model import save_tiny_model
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.events import AnyEvent, Notice, StepDone
from tunelab.flows.train import train
from tunelab.models.branching import cannot_branch
from tunelab.models.estimate import MemoryEstimate, affordable_tokens, estimate_step
from tunelab.models.logit_rule import logit_rule
from tunelab.models.memory import sizes_of
from tunelab.recipes import resolve_recipe
from tunelab.training.held_out_loss import held_out_loss
from tunelab.workspace import Workspace

SIZES = {
    "base_bytes": 4000,
    "num_trainable": 100,
    "bytes_per_weight": 4,
    "tokens": 64,
    "trained_tokens": 16,
    "logits_at_a_time": 64,
    "gradient_checkpointing": False,
}


def estimate(**changes: object) -> MemoryEstimate:
    return estimate_step(sizes_of(LlamaConfig(num_hidden_layers=4)), **(SIZES | changes))  # type: ignore[arg-type]


def test_pain_19_memory_is_estimated_before_the_first_step(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model")
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b " * 20}]
    rows = [{"messages": [messages[0] | {"content": f"row {number}"}, messages[1]]} for number in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text("data:\n  train_files: [train.jsonl]\n")
    overrides = [f"model.base_model={model}", "training.num_training_steps=1"]
    told: list[AnyEvent] = []
    train(
        resolve_recipe(tmp_path / "recipe.yaml", overrides=overrides), Workspace(path=tmp_path), listeners=[told.append]
    )
    kinds = [type(event) for event in told]
    memory = [
        place
        for place, event in enumerate(told)
        if isinstance(event, Notice) and re.match(r"memory: about [\d,]+ MiB .*base .*adapter .*a step", event.text)
    ]
    assert len(memory) == 1
    assert memory[0] < kinds.index(StepDone)


@pytest.mark.parametrize(
    "more", [{"tokens": 128}, {"trained_tokens": 32}, {"base_bytes": 8000}, {"num_trainable": 200}]
)
def test_pain_19_more_of_anything_is_estimated_to_take_more(more: dict[str, int]) -> None:
    assert estimate(**more).total_bytes > estimate().total_bytes


def test_pain_19_gradient_checkpointing_is_estimated_to_take_less() -> None:
    assert estimate(gradient_checkpointing=True).activation_bytes < estimate().activation_bytes


@pytest.mark.parametrize("length", [4, 40])
def test_pain_18_held_out_loss_makes_logits_for_trained_tokens_only(length: int) -> None:
    network = tiny_network()
    adapter = attach(network, LoraConfig(r=2), init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]
    held_out = [sequence([1, *range(3, 3 + length)], [7, 8, 2], conversation=number) for number in range(4)]
    assert cannot_branch(network) is None  # the trials that find this out make logits of their own, once
    assert logit_rule(network) is not None
    rows: list[int] = []
    network.get_output_embeddings().register_forward_hook(lambda _, __, logits: rows.append(logits.shape[-2]))
    loss, trained = held_out_loss(network, adapter, held_out, [(0, 1), (2, 3)], share=False)
    assert trained == 12
    assert [each for each in rows if each] == [6, 6]
    assert torch.isfinite(torch.tensor(loss))


def test_pain_19_only_so_many_logits_are_counted_as_exist_at_a_time() -> None:
    whole, chunked = (estimate(trained_tokens=64, logits_at_a_time=number).activation_bytes for number in (64, 8))
    assert whole - chunked == 4 * (64 - 8) * 4 * sizes_of(LlamaConfig()).vocabulary


def test_pain_19_what_runs_at_a_time_is_what_half_of_the_memory_holds() -> None:
    def one(tokens: int) -> MemoryEstimate:
        return MemoryEstimate(base_bytes=1_000_000, adapter_bytes=500_000, activation_bytes=1_000 * tokens)

    assert affordable_tokens(one, 5_000_000) == 1_000
    assert affordable_tokens(one, 9_000_000) == 3_000
    assert affordable_tokens(one, 1_000_000) == 256  # the base alone fills more than half
