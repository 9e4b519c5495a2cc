"""Full fine-tuning: saved as a model of its own, and the base comes back bit for bit."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from networks import FAMILIES, tiny_network
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach, load_adapter
from tunelab.adapters.config import FullConfig
from tunelab.errors import AdapterError
from tunelab.files import sha256_file

IDS = torch.tensor([[3, 7, 11, 4, 20]])


def moved(network: torch.nn.Module, config: FullConfig | None = None) -> Adapter:
    """Attach, and move every trained weight."""
    adapter = attach(network, config or FullConfig(), init_ids=[], base_model="tiny", seed=1)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in adapter.named_parameters().values():
            weight += torch.randn(weight.shape, generator=generator) * 0.1
    return adapter


@torch.no_grad()
def logits(network: torch.nn.Module) -> torch.Tensor:
    return network(input_ids=IDS).logits  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", FAMILIES)
def test_stock_transformers_loads_the_folder_with_equal_outputs(family: str, tmp_path: Path) -> None:
    network = tiny_network(family)
    base = logits(network)
    moved(network).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    stock = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.allclose(logits(stock), logits(network), atol=1e-6)
    assert not torch.allclose(logits(network), base, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_switched_off_while_it_trains_it_is_the_base(dtype: torch.dtype) -> None:
    network = tiny_network(dtype=dtype)
    plain = logits(tiny_network(dtype=dtype).float())
    adapter = moved(network)
    with adapter.disabled():
        assert torch.equal(logits(network), plain)
    assert not torch.equal(logits(network), plain)
    assert {weight.dtype for weight in adapter.named_parameters().values()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_answers_as_it_was_trained_and_switched_off_as_the_base(dtype: torch.dtype, tmp_path: Path) -> None:
    base = logits(tiny_network(dtype=dtype).float())
    network = tiny_network(dtype=dtype)
    moved(network).save(tmp_path)
    trained = logits(network)

    network = tiny_network(dtype=dtype)
    again = load_adapter(network, tmp_path, base_model="tiny")
    assert torch.equal(logits(network), trained)
    with again.disabled():
        assert torch.equal(logits(network), base)
    assert torch.equal(logits(network), trained)
    (tmp_path / "again").mkdir()
    again.save(tmp_path / "again")
    assert sha256_file(tmp_path / "model.safetensors") == sha256_file(tmp_path / "again" / "model.safetensors")


def test_a_head_that_shares_the_embeddings_still_does_when_it_is_trained(tmp_path: Path) -> None:
    network = tiny_network("gpt2")
    moved(network).save(tmp_path)
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    fresh = tiny_network("gpt2")
    load_adapter(fresh, tmp_path, base_model="tiny")
    assert fresh.get_output_embeddings().weight is fresh.get_input_embeddings().weight
    assert torch.equal(logits(fresh), logits(network))


def test_embeddings_that_are_left_out_stay_as_they_are() -> None:
    network = tiny_network()
    before = network.get_input_embeddings().weight.clone()
    adapter = moved(network, FullConfig(train_embeddings=False))
    assert torch.equal(network.get_input_embeddings().weight, before)
    assert not network.get_input_embeddings().weight.requires_grad
    assert set(dict(network.named_parameters())) - set(adapter.named_parameters()) == {"model.embed_tokens.weight"}


@pytest.mark.parametrize("damage", ["another base", "missing weights", "broken weights", "a tensor is missing"])
def test_a_folder_that_does_not_fit_is_told(damage: str, tmp_path: Path) -> None:
    moved(tiny_network()).save(tmp_path)
    weights = tmp_path / "model.safetensors"
    network = tiny_network("phi3" if damage == "another base" else "llama")
    if damage == "missing weights":
        weights.unlink()
    elif damage == "broken weights":
        weights.write_bytes(weights.read_bytes()[:20])
    elif damage == "a tensor is missing":
        from safetensors.torch import load_file, save_file

        tensors = load_file(weights)
        del tensors["model.norm.weight"]
        save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(AdapterError, match=r"the trained model (does not load|lacks 1 tensor|lacks \d+ tensors)"):
        load_adapter(network, tmp_path, base_model="tiny")


def test_an_interrupted_switch_to_the_base_leaves_the_trained_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = tiny_network("llama")
    adapter = moved(network)
    trained = logits(network)
    real, calls = torch.Tensor.cpu, iter(range(5))

    def interrupted(tensor: torch.Tensor) -> torch.Tensor:
        if next(calls, None) == 4:
            raise KeyboardInterrupt
        return real(tensor)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "cpu", interrupted)
        with pytest.raises(KeyboardInterrupt), adapter.disabled():
            pass
    assert torch.equal(logits(network), trained)
