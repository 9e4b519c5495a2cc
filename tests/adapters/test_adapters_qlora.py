"""QLoRA: the base is packed, the adapter is a plain LoRA folder, and forests train as the unshared run does."""

import importlib.util
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from networks import padded_unshared_loss, run_plan, sequence
from tiny_model import save_tiny_model
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach, load_adapter
from tunelab.adapters.config import QloraConfig
from tunelab.adapters.layer_adapter import quiet_peft
from tunelab.batching.step_plan import plan_batches
from tunelab.errors import AdapterError, MissingExtraError
from tunelab.models.branching import cannot_branch
from tunelab.models.config import ModelConfig, Quantization
from tunelab.models.load_model import load_model
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.quantized import num_packed
from tunelab.starter import NANO_FOLDER

IDS = torch.tensor([[3, 7, 11, 4, 20]])
KINDS: tuple[Quantization, ...] = ("nf4", "int8")
STOCK = {
    "nf4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "int8": BitsAndBytesConfig(load_in_8bit=True),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("packed"))


def packed(folder: Path, quantization: Quantization | None) -> LoadedModel:
    return load_model(folder, ModelConfig(base_model=str(folder), device_map="cpu"), quantization=quantization)


def moved(network: torch.nn.Module, config: QloraConfig) -> Adapter:
    adapter = attach(network, config, init_ids=[], base_model="tiny", seed=1)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in adapter.named_parameters().values():
            weight += torch.randn(weight.shape, generator=generator) * 0.05
    return adapter


@torch.no_grad()
def logits(network: torch.nn.Module) -> torch.Tensor:
    return network(input_ids=IDS).logits  # type: ignore[no-any-return]


@pytest.mark.parametrize(("quantization", "bits"), [("nf4", 4), ("int8", 8)])
def test_linear_layers_are_packed_and_nothing_else(quantization: Quantization, bits: int, folder: Path) -> None:
    whole, small = packed(folder, None).network, packed(folder, quantization).network
    for (name, weight), (_, less) in zip(whole.named_parameters(), small.named_parameters(), strict=True):
        is_packed = name.endswith("_proj.weight")
        assert less.nbytes * 8 == weight.numel() * (bits if is_packed else 32), name
        assert num_packed(less) == weight.numel()
    assert torch.equal(small.get_input_embeddings().weight, whole.get_input_embeddings().weight)


@pytest.mark.parametrize("quantization", KINDS)
def test_stock_peft_loads_the_folder_over_a_base_that_stock_transformers_packed(
    quantization: Quantization, folder: Path, tmp_path: Path
) -> None:
    network = packed(folder, quantization).network
    base = logits(network)
    moved(network, QloraConfig(r=4, quantization=quantization)).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    stock = AutoModelForCausalLM.from_pretrained(folder, quantization_config=STOCK[quantization], dtype=torch.float32)
    with quiet_peft():
        stock = peft.PeftModel.from_pretrained(stock, str(tmp_path)).eval()
    assert torch.allclose(logits(network), logits(stock), atol=1e-5)
    assert not torch.allclose(logits(network), base, atol=1e-2)
    again = packed(folder, quantization).network
    adapter = load_adapter(again, tmp_path, base_model="tiny")
    assert torch.equal(logits(again), logits(network))
    with adapter.disabled():
        assert torch.equal(logits(again), base)


@pytest.mark.parametrize("use_dora", [False, True])
def test_a_forest_over_a_base_in_nf4_gives_the_loss_and_gradients_of_the_unshared_run(
    use_dora: bool, folder: Path
) -> None:
    network = packed(folder, "nf4").network
    adapter = moved(network, QloraConfig(r=4, use_dora=use_dora, target_modules="attention"))
    sequences = [sequence([1, 2, 3], [4, 5]), sequence([1, 2, 3], [4, 6, 7]), sequence([1, 2, 3, 4, 5, 8], [9])]
    weights = list(adapter.named_parameters().values())
    loss = padded_unshared_loss(network, adapter, sequences)
    expected = torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)])
    shared = run_plan(network, adapter, plan_batches([sequences]))
    gradient = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    assert shared == pytest.approx(float(loss.detach()), rel=1e-5)
    assert float((gradient - expected).norm() / expected.norm()) < 1e-5


def test_over_a_packed_base_embeddings_and_head_are_trained_whole_and_packed_layers_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    network = packed(folder, "nf4").network
    base = logits(network)
    config = QloraConfig(r=4, modules_to_save=("embed_tokens", "lm_head"), rank_pattern={"q_proj": 2})
    adapter = moved(network, config)
    adapter.save(tmp_path)
    stock = AutoModelForCausalLM.from_pretrained(folder, quantization_config=STOCK["nf4"], dtype=torch.float32)
    with quiet_peft():
        stock = peft.PeftModel.from_pretrained(stock, str(tmp_path)).eval()
    assert torch.allclose(logits(network), logits(stock), atol=1e-5)
    with adapter.disabled():
        assert torch.equal(logits(network), base)
    norms = moved(packed(folder, "nf4").network, QloraConfig(r=4, modules_to_save="norm"))
    assert any("norm.modules_to_save" in name for name in norms.named_parameters())
    with pytest.raises(AdapterError, match=r"qlora\.modules_to_save: .*up_proj is held in nf4"):
        moved(packed(folder, "nf4").network, QloraConfig(target_modules="attention", modules_to_save="up_proj"))
    with pytest.raises(ValueError, match="starts from weights that are not packed"):
        QloraConfig(init_lora_weights="pissa")


def test_without_bitsandbytes_the_pip_line_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "tunelab.models.locate_model.find_spec", lambda name: None if name == "bitsandbytes" else found(name)
    )
    with pytest.raises(MissingExtraError, match=r'needs bitsandbytes.*pip install "tunelab\[qlora\]"'):
        packed(folder, "nf4")
    packed(folder, None)


@pytest.mark.parametrize("quantization", KINDS)
def test_a_packed_base_still_branches_though_int8_rounds_by_what_runs_together(quantization: Quantization) -> None:
    assert cannot_branch(load_model(NANO_FOLDER, ModelConfig(), quantization=quantization).network) is None
