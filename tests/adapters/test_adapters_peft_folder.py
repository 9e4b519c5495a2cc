"""What is saved is what stock peft loads."""

import json
import warnings
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from networks import tiny_network
from tunelab.adapters.attach import attach, load_adapter
from tunelab.adapters.config import AdapterConfig, LoraConfig, SoftPromptConfig
from tunelab.adapters.ia3 import Ia3Config
from tunelab.errors import AdapterError
from tunelab.files import sha256_file
from tunelab.models.locate_model import EMBEDDED_MODELS

KINDS: dict[str, AdapterConfig] = {
    "lora": LoraConfig(r=4),
    "lora on attention, rank-stabilised": LoraConfig(
        r=4, target_modules="attention", use_rslora=True, lora_dropout=0.5
    ),
    "lora on two full names": LoraConfig(
        r=2, target_modules=("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj")
    ),
    "lora on embeddings": LoraConfig(r=2, target_modules="embeddings"),
    "dora": LoraConfig(r=4, use_dora=True),
    "soft prompt": SoftPromptConfig(number_of_virtual_tokens=5),
    "ia3": Ia3Config(),
    "ia3 on names of both roles": Ia3Config(target_modules=("self_attn.o_proj", "mlp")),
}
NO_IDS = np.array([], dtype=np.int32)
IDS = torch.tensor([[3, 7, 11, 4, 20]])


def _saved(config: AdapterConfig, folder: Path) -> torch.Tensor:
    """Train nothing, but move every weight; save; return the logits."""
    network = tiny_network()
    adapter = attach(network, config, init_ids=NO_IDS, base_model="tiny", seed=3)
    generator = torch.Generator().manual_seed(1)
    for weight in adapter.named_parameters().values():
        weight.data += torch.randn(weight.shape, generator=generator) * 0.1
    adapter.save(folder)
    network.eval()
    return _logits(network, adapter.virtual_embeddings())


def _logits(network: torch.nn.Module, virtual: torch.Tensor) -> torch.Tensor:
    embeddings = torch.cat([virtual[None], network.get_input_embeddings()(IDS)], dim=1)  # type: ignore[operator]
    with torch.no_grad():
        return network(inputs_embeds=embeddings).logits[:, len(virtual) :]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_stock_peft_loads_the_folder_with_equal_outputs(kind: str, tmp_path: Path) -> None:
    ours = _saved(KINDS[kind], tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own deprecations
        stock = peft.PeftModel.from_pretrained(tiny_network(), str(tmp_path)).eval()
        with torch.no_grad():
            theirs = stock(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits[:, -IDS.shape[1] :]
    base = _logits(tiny_network(), torch.zeros(0, 32))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, base, atol=1e-3)  # the adapter does something


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_reads_back_to_the_same_bytes(kind: str, tmp_path: Path) -> None:
    ours = _saved(KINDS[kind], tmp_path)
    network = tiny_network()
    again = load_adapter(network, tmp_path, base_model="tiny")
    assert torch.equal(_logits(network, again.virtual_embeddings()), ours)
    (tmp_path / "again").mkdir()
    again.save(tmp_path / "again")
    weights = "adapter_model.safetensors"
    assert sha256_file(tmp_path / weights) == sha256_file(tmp_path / "again" / weights)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_switched_off_is_the_base_model(kind: str, tmp_path: Path) -> None:
    _saved(KINDS[kind], tmp_path)
    network = tiny_network()
    adapter = load_adapter(network, tmp_path, base_model="tiny")
    base = _logits(tiny_network(), torch.zeros(0, 32))
    with adapter.disabled():
        assert torch.equal(_logits(network, adapter.virtual_embeddings()), base)
    assert not torch.equal(_logits(network, adapter.virtual_embeddings()), base)


def test_a_soft_prompt_starts_from_its_init_prompt() -> None:
    network = tiny_network()
    config = SoftPromptConfig(number_of_virtual_tokens=5, init_prompt="any")
    adapter = attach(network, config, init_ids=np.array([7, 9], dtype=np.int32), base_model="tiny", seed=1)
    expected = network.get_input_embeddings()(torch.tensor([7, 9, 7, 9, 7]))
    assert torch.equal(adapter.virtual_embeddings(), expected)


def test_a_random_soft_prompt_depends_on_the_seed_alone() -> None:
    config = SoftPromptConfig(number_of_virtual_tokens=5)
    one, same, other = (
        attach(tiny_network(), config, init_ids=NO_IDS, base_model="tiny", seed=seed).virtual_embeddings()
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_pain_31_an_adapter_folder_holds_the_adapter_and_nothing_else(tmp_path: Path) -> None:
    network = tiny_network()
    adapter = attach(network, LoraConfig(r=4), init_ids=NO_IDS, base_model="tiny", seed=1)
    adapter.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    trained = sum(weight.numel() for weight in adapter.named_parameters().values())
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < trained * 4 + 8192
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def test_bias_terms_are_trained_where_they_are_asked_for() -> None:
    names = {
        bias: set(
            attach(
                tiny_network("gpt2"),
                LoraConfig(r=2, target_modules="attention", bias=bias),  # type: ignore[arg-type]
                init_ids=NO_IDS,
                base_model="tiny",
                seed=1,
            ).named_parameters()
        )
        for bias in ("none", "lora_only", "all")
    }
    assert names["none"] < names["lora_only"] < names["all"]


def test_an_adapter_for_another_base_is_refused_by_name(tmp_path: Path) -> None:
    _saved(LoraConfig(r=4), tmp_path)
    with pytest.raises(AdapterError, match="trained on tiny, not on nano"):
        load_adapter(tiny_network(), tmp_path, base_model="nano")


def test_an_adapter_of_another_width_is_refused_even_under_the_same_name(tmp_path: Path) -> None:
    for kind in ("lora", "soft prompt"):
        _saved(KINDS[kind], tmp_path / kind) if (tmp_path / kind).mkdir() is None else None
        with pytest.raises(AdapterError, match=r"width|does not fit"):
            load_adapter(_wider_network(), tmp_path / kind, base_model="tiny")


def _wider_network():  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=50, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    "damage", ["missing config", "broken config", "missing weights", "broken weights", "other kind"]
)
@pytest.mark.parametrize("kind", ["lora", "soft prompt"])
def test_a_damaged_adapter_folder_is_told(kind: str, damage: str, tmp_path: Path) -> None:
    _saved(KINDS[kind], tmp_path)
    config, weights = tmp_path / "adapter_config.json", tmp_path / "adapter_model.safetensors"
    if damage == "missing config":
        config.unlink()
    elif damage == "broken config":
        config.write_text("{")
    elif damage == "missing weights":
        weights.unlink()
    elif damage == "broken weights":
        weights.write_bytes(weights.read_bytes()[:20])
    else:
        config.write_text(json.dumps({"base_model_name_or_path": "tiny", "peft_type": "LOHA"}))
    with pytest.raises(AdapterError, match=r"is missing|is damaged|is no JSON|of kind LOHA"):
        load_adapter(tiny_network(), tmp_path, base_model="tiny")


def test_dora_where_a_row_has_no_weight_is_refused_with_the_layers_that_have_none() -> None:
    with_zero_rows = tiny_network()
    with_zero_rows.get_submodule("model.layers.1.self_attn.q_proj").weight.data[:5] = 0
    everywhere = LoraConfig(r=4, use_dora=True, target_modules="attention")
    told = r"5 of 32 rows of model\.layers\.1\.self_attn\.q_proj .*target_modules=\[k_proj, v_proj, o_proj\]"
    with pytest.raises(AdapterError, match=told):
        attach(with_zero_rows, everywhere, init_ids=NO_IDS, base_model="tiny", seed=3)

    nano = AutoModelForCausalLM.from_pretrained(EMBEDDED_MODELS["nano"])
    wishes = ("o_proj", "gate_proj", "up_proj")
    adapter = attach(
        nano, LoraConfig(r=4, use_dora=True, target_modules=wishes), init_ids=NO_IDS, base_model="nano", seed=3
    )
    nano(IDS, labels=IDS).loss.backward()
    assert all(
        weight.grad is not None and weight.grad.isfinite().all() for weight in adapter.named_parameters().values()
    )
