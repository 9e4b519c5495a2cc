"""Updates of embeddings, from the check to the answers: over every family, with a head of its own or a tied one."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from networks import FAMILIES, tiny_network
from tiny_model import save_tiny_model
from train_task import write_task
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.adapters.ia3 import Ia3Config
from tunelab.errors import AdapterError
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.compare import compare_run
from tunelab.flows.train import train
from tunelab.models.branching import cannot_branch
from tunelab.models.network_layers import modules_of
from tunelab.models.weight_headers import read_headers
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace

NO_IDS = np.array([], dtype=np.int32)
IDS = torch.tensor([[3, 7, 11, 4, 20]])


def attached(network: torch.nn.Module, **settings: object) -> Adapter:
    config = LoraConfig(r=4, target_modules="embeddings", **settings)  # type: ignore[arg-type]
    return attach(network, config, init_ids=NO_IDS, base_model="tiny", seed=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_of_every_family_learn_and_branch_and_switch_off(family: str, dtype: torch.dtype) -> None:
    network = tiny_network(family, dtype=dtype)
    base = copy.deepcopy(network)(IDS).logits
    adapter = attached(network)
    assert cannot_branch(network) is None
    weights = adapter.named_parameters()
    optimizer = torch.optim.SGD(weights.values(), lr=1.0)
    for _ in range(2):  # A starts at zero: B moves once A has
        torch.nn.functional.cross_entropy(network(IDS).logits[0, :-1].float(), IDS[0, 1:]).backward()
        assert all(weight.grad is not None for weight in weights.values())
        optimizer.step()
    assert not torch.equal(network(IDS).logits, base)
    with adapter.disabled():
        assert torch.equal(network(IDS).logits, base)


def test_a_head_that_shares_the_embeddings_keeps_the_weight_of_the_base_and_the_table_says_so() -> None:
    network = tiny_network("gemma3")
    head = network.get_output_embeddings().weight
    before = head.detach().clone()
    adapter = attached(network)
    assert "outside the layers; the head, which shares their weight, keeps the base's" in adapter.description[0]
    assert network.get_output_embeddings().weight is head
    assert torch.equal(head, before)
    assert not head.requires_grad
    (apart,) = attached(tiny_network("llama")).description
    assert apart == "embeddings: 1 module (embed_tokens) outside the layers"


def test_the_headers_of_the_files_say_of_tied_embeddings_what_the_network_does(tmp_path: Path) -> None:
    tiny_network("gemma3").save_pretrained(tmp_path)
    weights = read_headers(tmp_path)
    assert weights is not None
    (from_files,) = weights.modules(num_layers=2).match("embeddings", where="lora.target_modules")
    (from_network,) = modules_of(tiny_network("gemma3")).match("embeddings", where="lora.target_modules")
    assert from_files == from_network
    assert from_files.is_tied


def test_lora_plus_reaches_the_second_half_of_an_update_of_embeddings() -> None:
    adapter = attached(tiny_network(), loraplus_lr_ratio=16)
    assert {name.split(".")[-2]: factor for name, factor in adapter.learning_rate_factors().items()} == {
        "lora_embedding_B": 16
    }


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
def test_what_check_passes_is_trained_and_compared(is_tied: bool, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "base")
    if is_tied:
        network = LlamaForCausalLM.from_pretrained(model, tie_word_embeddings=True)
        network.save_pretrained(model)
    file = write_task(tmp_path, model)
    settings = ["lora.target_modules=[embeddings, attention]", "training.num_training_steps=4"]
    checked = check_data_or_recipe(str(file), overrides=settings, environment={})
    assert checked.model is not None
    assert not checked.model.unmatched
    resolved = resolve_recipe(file, overrides=settings, environment={})
    run = train(resolved, Workspace(path=tmp_path)).run
    loss = compare_run(run, num_examples=2, max_new_tokens=4).report.tasks[0].figure("loss")
    assert loss.before.value is not None
    assert loss.after.value != loss.before.value


def test_factors_on_embeddings_are_refused_by_check_and_train_alike(tmp_path: Path) -> None:
    message = r"^ia3\.target_modules: model\.embed_tokens is a table of embeddings.*train it with lora"
    with pytest.raises(AdapterError, match=message):
        attach(tiny_network(), Ia3Config(target_modules="embeddings"), init_ids=NO_IDS, base_model="tiny", seed=1)
    file = write_task(tmp_path, save_tiny_model(tmp_path / "base"), adapter="ia3")
    checked = check_data_or_recipe(str(file), overrides=["ia3.target_modules=embeddings"], environment={})
    assert checked.model is not None
    assert "is a table of embeddings" in checked.model.unmatched
