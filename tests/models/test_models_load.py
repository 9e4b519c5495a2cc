"""Base models are loaded without surprises, or refused with the reason."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Gemma3Config, LlavaConfig, T5Config

from networks import tiny_network
from tunelab.errors import ModelError
from tunelab.models.config import ModelConfig
from tunelab.models.load_model import choose_dtype, empty_model, load_model, read_model_config
from tunelab.models.locate_model import locate_model
from tunelab.models.network_layers import find_targets

CPU = torch.device("cpu")
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base")
    tiny_network(dtype=torch.bfloat16).save_pretrained(path)
    return path


def _changed(folder: Path, into: Path, **changes: object) -> Path:
    into.mkdir(parents=True)
    for file in folder.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    config = json.loads((into / "config.json").read_text()) | changes
    (into / "config.json").write_text(json.dumps(config))
    return into


def test_a_base_model_is_frozen_and_in_float32_on_a_cpu(folder: Path) -> None:
    loaded = load_model(folder, ModelConfig())
    assert loaded.dtype == torch.float32
    assert not any(weight.requires_grad for weight in loaded.network.parameters())
    assert not loaded.network.training


def test_a_config_can_load_no_code_and_choose_no_kernel(folder: Path, tmp_path: Path) -> None:
    hostile = _changed(
        folder,
        tmp_path / "hostile",
        auto_map={"AutoModelForCausalLM": "evil.Model"},
        _attn_implementation="someone/kernel",
        attn_implementation="someone/kernel",
    )
    config = read_model_config(hostile)
    assert not hasattr(config, "auto_map")
    assert load_model(hostile, ModelConfig()).network.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"quant_method": "gptq", "bits": 4}, r"quantized \(gptq, 4 bits\)"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, r"quantized \(bitsandbytes, 4 bits\)"),
        ({"quant_method": "mxfp4"}, r"quantized \(mxfp4\)"),
    ],
)
def test_a_quantized_base_is_refused_and_not_filled_up_with_chance(
    settings: dict[str, object], told: str, folder: Path, tmp_path: Path
) -> None:
    quantized = _changed(folder, tmp_path / "quantized", quantization_config=settings)
    with pytest.raises(ModelError, match=f"{told}.*Take the model it was made from"):
        load_model(quantized, ModelConfig())


def test_a_base_whose_files_lack_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    short = _changed(folder, tmp_path / "short")
    weights = load_file(short / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, short / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 tensor of the model.*layers\.0\.mlp\.up_proj"):
        load_model(short, ModelConfig())


def test_a_base_that_transformers_loads_for_pictures_only_is_refused_in_one_sentence(tmp_path: Path) -> None:
    LlavaConfig().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="llava takes pictures, and transformers does not load it for text alone"):
        load_model(tmp_path, ModelConfig())
    T5Config().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="t5 is no model that only writes text"):
        load_model(tmp_path, ModelConfig())


def test_of_a_base_that_sees_pictures_the_text_part_alone_is_adapted() -> None:
    text = {**SMALL, "head_dim": 8, "sliding_window": 4}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = Gemma3Config(text_config=text, vision_config={**vision, "image_size": 28, "patch_size": 14})
    network = empty_model(config)
    assert any("vision" in name for name, _ in network.named_modules())
    for role in ("all-linear", "attention", "mlp", "embeddings"):
        (target,) = find_targets(network, role)
        assert target.modules
        assert not any("vision" in name or "projector" in name for name in target.modules)


def test_fp16_over_a_bfloat16_base_is_refused_with_the_reason() -> None:
    with pytest.raises(ModelError, match="65,504"):
        choose_dtype("auto", stored=torch.bfloat16, precision="fp16", device=CPU)
    assert choose_dtype("float32", stored=torch.bfloat16, precision="fp16", device=CPU) == torch.float32
    with pytest.raises(ModelError, match="bf16 cannot train over float16"):
        choose_dtype("float16", stored=torch.float32, precision="bf16", device=CPU)


def test_a_gpu_that_is_not_there_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="none can be used here"):
        load_model(folder, ModelConfig(device_map="cuda"))


def test_a_model_is_located_or_the_message_says_how_to_name_one(folder: Path, tmp_path: Path) -> None:
    assert locate_model(ModelConfig(base_model=str(folder)), base=tmp_path) == folder.resolve()
    assert locate_model(ModelConfig(), base=tmp_path).name == "nano"
    with pytest.raises(ModelError, match='there is no model "no-such"'):
        locate_model(ModelConfig(base_model="no-such"), base=tmp_path)
    with pytest.raises(ModelError, match="no pinned revision"):
        locate_model(ModelConfig(base_model="owner/name"), base=tmp_path)
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        locate_model(ModelConfig(base_model="."), base=tmp_path)
