"""The LoRA layer's short way computes what peft's own layer computes."""

from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from transformers import PreTrainedModel

from networks import tiny_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.adapters.lora_linear import LoraLinear, _Updated


def _attached(family: str, **settings: object) -> tuple[PreTrainedModel, Adapter]:
    network = tiny_network(family)
    config = LoraConfig(r=4, target_modules="all-linear", **settings)  # type: ignore[arg-type]
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    for weight in adapter.named_parameters().values():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.1
    return network, adapter


def _logits_and_gradients(network: PreTrainedModel, weights: dict[str, torch.nn.Parameter]) -> list[torch.Tensor]:
    torch.manual_seed(3)  # of dropout
    logits = network(torch.arange(20).reshape(2, 10)).logits
    return [logits, *torch.autograd.grad(logits.square().mean(), list(weights.values()))]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # stock peft asks an old name
@pytest.mark.parametrize("family", ["llama", "phi3"])
@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"lora_dropout": 0.5}, {"bias": "all"}], ids=str)
def test_outputs_and_gradients_are_those_of_stock_peft(
    family: str, settings: dict[str, object], tmp_path: Path
) -> None:
    network, adapter = _attached(family, **settings)
    adapter.save(tmp_path)
    stock = peft.PeftModel.from_pretrained(tiny_network(family), str(tmp_path), is_trainable=True)
    assert any(type(module) is LoraLinear for module in network.modules())
    assert not any(isinstance(module, LoraLinear) for module in stock.modules())
    ours = _logits_and_gradients(network.train(), adapter.named_parameters())
    weights = {name: weight for name, weight in sorted(stock.named_parameters()) if weight.requires_grad}
    theirs = _logits_and_gradients(stock.train(), weights)
    for one, other in zip(ours, theirs, strict=True):
        assert other.norm() > 0
        assert float((one - other).detach().norm() / other.detach().norm()) < 1e-5


def test_only_the_plain_case_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(_Updated, "apply", lambda *arguments: taken.append(arguments) or arguments[0] @ arguments[1].T)
    tokens = torch.arange(10)[None]
    for settings in ({"lora_dropout": 0.5}, {"use_dora": True}):
        network, _ = _attached("llama", **settings)
        network.train()(tokens)
        assert not taken
    network, adapter = _attached("llama")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(tokens)
    with adapter.disabled():
        network(tokens)
    assert not taken
    network(tokens)
    assert len(taken) == 14
