"""(IA)³: where its factors stand, and what is refused."""

import copy
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config

from networks import tiny_network
from tunelab.adapters.attach import attach
from tunelab.adapters.ia3 import Ia3Config
from tunelab.adapters.layer_adapter import quiet_peft
from tunelab.errors import AdapterError

IDS = torch.tensor([[3, 7, 11, 4, 20]])


def test_fresh_factors_change_nothing_and_stand_behind_attention_and_before_the_layers_of_an_mlp() -> None:
    network = tiny_network()
    base = network(IDS).logits
    adapter = attach(network, Ia3Config(), init_ids=[], base_model="tiny", seed=1)  # type: ignore[arg-type]
    assert torch.equal(network(IDS).logits, base)
    shapes = {
        name.split(".layers.1.")[1]: tuple(weight.shape)
        for name, weight in adapter.named_parameters().items()
        if ".layers.1." in name
    }
    assert shapes["self_attn.k_proj.ia3_l.default"] == (16, 1)
    assert shapes["mlp.up_proj.ia3_l.default"] == (1, 32)
    assert shapes["mlp.down_proj.ia3_l.default"] == (1, 64)


def test_layers_with_one_name_for_two_roles_are_loaded_by_stock_peft(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    stock = copy.deepcopy(network)
    adapter = attach(network, Ia3Config(), init_ids=[], base_model="tiny", seed=1)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    for weight in adapter.named_parameters().values():
        weight.data += torch.randn(weight.shape, generator=generator) * 0.1
    adapter.save(tmp_path)
    ours = network(IDS).logits
    base = stock(IDS).logits
    with quiet_peft():
        theirs = peft.PeftModel.from_pretrained(stock, str(tmp_path))(input_ids=IDS).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, base, atol=1e-3)


@pytest.mark.parametrize("wish", ["qkv_proj", "embeddings"])
def test_what_has_no_factors_is_refused_in_the_words_of_its_section(wish: str) -> None:
    config = Ia3Config(target_modules=wish)
    with pytest.raises(AdapterError, match=r"^ia3\.target_modules: "):
        attach(tiny_network(), config, init_ids=[], base_model="tiny", seed=1)  # type: ignore[arg-type]
