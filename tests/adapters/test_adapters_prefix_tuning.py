"""A prefix computes what stock peft's prefix tuning computes, in every family of networks, and is saved as one."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    Gemma3TextConfig,
    Gemma4TextConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3NextConfig,
    RwkvConfig,
)
from transformers.cache_utils import DynamicCache

from networks import _SIZES, FAMILIES
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach, load_adapter
from tunelab.adapters.config import PrefixTuningConfig, SoftPromptConfig
from tunelab.errors import AdapterError

NO_IDS = np.array([], dtype=np.int32)
IDS = torch.tensor([[3, 7, 11, 4, 20, 9, 31, 2, 5]])
SHAPES: dict[str, PretrainedConfig] = {
    **FAMILIES,
    "heads wider than the hidden width": Qwen3Config(**_SIZES, head_dim=12),
    "windowed and full layers": Gemma3TextConfig(
        **_SIZES, head_dim=12, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
    ),
}
KINDS = {
    "shorter than the window": PrefixTuningConfig(number_of_virtual_tokens=3),
    "longer than the window": PrefixTuningConfig(number_of_virtual_tokens=6),
    "projected": PrefixTuningConfig(number_of_virtual_tokens=5, prefix_projection=True, encoder_hidden_size=7),
}


@pytest.fixture(autouse=True)
def _stock_peft_speaks_of_itself() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


def network_of(config: PretrainedConfig, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).to(dtype)
    return network.requires_grad_(False).eval()  # type: ignore[no-any-return]


def fresh(network: PreTrainedModel, config: PrefixTuningConfig | SoftPromptConfig, *, seed: int = 3) -> Adapter:
    return attach(network, config, init_ids=NO_IDS, base_model="tiny", seed=seed)


def moved(adapter: Adapter) -> Adapter:
    """Move every trained weight, as training would."""
    generator = torch.Generator().manual_seed(1)
    for weight in adapter.named_parameters().values():
        weight.data += torch.randn(weight.shape, generator=generator) * 0.3
    return adapter


def logits(network: PreTrainedModel, adapter: Adapter | None) -> torch.Tensor:
    """Run one sequence behind what the adapter puts in front of it, through stock attention."""
    embeddings = network.get_input_embeddings()(IDS)
    cache, taken = DynamicCache(config=network.config), 0
    if adapter is not None:
        virtual = adapter.virtual_embeddings()
        embeddings, taken = torch.cat([virtual[None], embeddings], dim=1), len(virtual)
        for layer, (keys, values) in enumerate(adapter.prefix_keys_values()):
            cache.update(keys.to(network.dtype), values.to(network.dtype), layer)
    computed: torch.Tensor = network(inputs_embeds=embeddings, past_key_values=cache, use_cache=True).logits
    return computed[:, taken:]


def stock_logits(network: PreTrainedModel, folder: Path) -> torch.Tensor:
    stock = peft.PeftModel.from_pretrained(network, str(folder)).eval()
    with torch.no_grad():
        computed: torch.Tensor = stock(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return computed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_stock_peft_loads_a_prefix_with_equal_logits(shape: str, kind: str, tmp_path: Path) -> None:
    network = network_of(SHAPES[shape])
    adapter = moved(fresh(network, KINDS[kind]))
    with torch.no_grad():
        ours, base = logits(network, adapter), logits(network, None)
    adapter.save(tmp_path)
    assert torch.allclose(ours, stock_logits(network_of(SHAPES[shape]), tmp_path), atol=1e-5)
    assert not torch.allclose(ours, base, atol=1e-3)


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_prefix_of_stock_peft_is_loaded_with_equal_logits(shape: str, projected: bool, tmp_path: Path) -> None:
    settings = peft.PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=4, prefix_projection=projected, encoder_hidden_size=6
    )
    stock = peft.get_peft_model(network_of(SHAPES[shape]), settings)
    stock.save_pretrained(str(tmp_path), save_embedding_layers=False)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(saved | {"base_model_name_or_path": "tiny"}))
    network = network_of(SHAPES[shape])
    adapter = load_adapter(network, tmp_path, base_model="tiny")
    with torch.no_grad():
        assert torch.allclose(logits(network, adapter), stock(input_ids=IDS).logits, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_reads_back_to_the_same_files(kind: str, tmp_path: Path) -> None:
    network = network_of(SHAPES["llama"])
    adapter = moved(fresh(network, KINDS[kind]))
    (tmp_path / "again").mkdir()
    adapter.save(tmp_path)
    again = load_adapter(network, tmp_path, base_model="tiny")
    with torch.no_grad():
        assert torch.equal(logits(network, again), logits(network, adapter))
    again.save(tmp_path / "again")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_projection_is_folded_when_it_is_saved(tmp_path: Path) -> None:
    adapter = fresh(network_of(SHAPES["llama"]), KINDS["projected"])
    assert len(adapter.named_parameters()) == 5  # vectors, two layers with a bias each
    adapter.save(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["prefix_projection"] is False
    tensors = safetensors.torch.load_file(tmp_path / "adapter_model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {"prompt_embeddings": (5, 2 * 2 * 2 * 8)}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fresh_prefix_answers_as_the_fresh_soft_prompt_of_its_seed(shape: str) -> None:
    network = network_of(SHAPES[shape])
    prefix = fresh(network, PrefixTuningConfig(number_of_virtual_tokens=6))
    soft = fresh(network, SoftPromptConfig(number_of_virtual_tokens=6))
    other = fresh(network, SoftPromptConfig(number_of_virtual_tokens=6), seed=4)
    with torch.no_grad():
        assert torch.allclose(logits(network, prefix), logits(network, soft), atol=1e-5)
        assert not torch.allclose(logits(network, prefix), logits(network, other), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_initial_values_depend_on_the_seed_alone(kind: str) -> None:
    network = network_of(SHAPES["llama"])
    before = hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()
    one, same, other = (fresh(network, KINDS[kind], seed=seed).named_parameters() for seed in (1, 1, 2))
    assert hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest() == before
    assert list(one) == list(same) == sorted(one)
    for name in one:
        assert torch.equal(one[name], same[name])
        assert not torch.equal(one[name], other[name])


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_a_prefix_is_trained_in_float32_under_a_half_precision_base(kind: str) -> None:
    network = network_of(SHAPES["llama"], torch.bfloat16)
    adapter = fresh(network, KINDS[kind])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pairs = adapter.prefix_keys_values()
        assert {each.dtype for pair in pairs for each in pair} == {torch.float32}
        logits(network, adapter).float().square().mean().backward()
    weights = adapter.named_parameters()
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert [name for name, weight in weights.items() if weight.grad is None or not weight.grad.any()] == []
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_switched_off_is_the_base_model(kind: str) -> None:
    network = network_of(SHAPES["gemma3"])
    adapter = fresh(network, KINDS[kind])
    with torch.no_grad():
        base = logits(network, None)
        with adapter.disabled():
            assert adapter.num_prefix_positions == 0
            assert adapter.prefix_keys_values() == []
            assert torch.equal(logits(network, adapter), base)
        assert not torch.allclose(logits(network, adapter), base, atol=1e-5)


def test_keys_and_values_have_the_shape_of_each_layer() -> None:
    for name, (heads, width) in {"llama": (2, 8), "gpt2": (4, 8), "windowed and full layers": (2, 12)}.items():
        adapter = fresh(network_of(SHAPES[name]), PrefixTuningConfig(number_of_virtual_tokens=5))
        shapes = [tuple(each.shape) for pair in adapter.prefix_keys_values() for each in pair]
        assert shapes == [(1, heads, 5, width)] * 4
        assert adapter.num_prefix_positions == 5
        assert adapter.num_virtual_tokens == len(adapter.virtual_embeddings()) == 0
        assert adapter.description[0] == f"5 prefix positions in 2 layers, {heads} key/value heads of width {width}"


def test_a_window_that_leaves_the_prefix_behind_is_told() -> None:
    told = fresh(network_of(SHAPES["windowed and full layers"]), KINDS["shorter than the window"]).description
    assert told[1] == "1 layers see 4 positions back: beyond that, the prefix is out of reach"
    assert len(fresh(network_of(SHAPES["llama"]), KINDS["shorter than the window"]).description) == 1


REFUSED: dict[str, tuple[PretrainedConfig, str]] = {
    "linear attention": (
        Qwen3NextConfig(**_SIZES, num_experts=2, moe_intermediate_size=8, layer_types=["linear_attention"] * 2),
        "layers of kind linear_attention",
    ),
    "state space": (
        RwkvConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, context_length=64),
        "layers of kind state space",
    ),
    "keys wider than values": (
        DeepseekV3Config(
            **_SIZES | {"num_key_value_heads": 4},
            kv_lora_rank=8,
            q_lora_rank=8,
            qk_rope_head_dim=4,
            qk_nope_head_dim=8,
            v_head_dim=8,
            first_k_dense_replace=2,
            n_routed_experts=2,
        ),
        "differ from layer to layer",
    ),
    "layers that share keys and values": (
        Gemma4TextConfig(
            **_SIZES | {"num_hidden_layers": 4},
            num_kv_shared_layers=2,
            layer_types=["sliding_attention", "full_attention"] * 2,
            vocab_size_per_layer_input=50,
            hidden_size_per_layer_input=4,
        ),
        "take the keys and values of other layers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_without_equal_keys_and_values_in_every_layer_is_refused_with_the_reason(case: str) -> None:
    config, reason = REFUSED[case]
    network = network_of(config)
    for kind in KINDS.values():
        with pytest.raises(AdapterError, match=reason):
            fresh(network, kind)


def test_a_prefix_that_leaves_no_position_is_refused() -> None:
    network = network_of(SHAPES["gpt2"])  # 128 learned positions
    with pytest.raises(AdapterError, match="leaves none for a token"):
        fresh(network, PrefixTuningConfig(number_of_virtual_tokens=128))
    assert fresh(network, PrefixTuningConfig(number_of_virtual_tokens=119)).num_prefix_positions == 119


@pytest.mark.parametrize("damage", ["other width", "other depth", "other heads", "no tensor"])
def test_a_prefix_for_another_network_is_refused_even_under_the_same_name(damage: str, tmp_path: Path) -> None:
    fresh(network_of(SHAPES["llama"]), KINDS["projected"]).save(tmp_path)
    sizes = {
        "other width": {"head_dim": 16},
        "other depth": {"num_hidden_layers": 3},
        "other heads": {"num_key_value_heads": 4},
    }
    if damage == "no tensor":
        weights = tmp_path / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes().replace(b"prompt_embeddings", b"prompt_embeddingz"))
    network = network_of(LlamaConfig(**_SIZES | sizes.get(damage, {})))
    with pytest.raises(AdapterError, match="the prefix holds"):
        load_adapter(network, tmp_path, base_model="tiny")


def test_each_setting_of_a_prefix_has_an_effect() -> None:
    def shapes(**settings: object) -> list[tuple[int, ...]]:
        config = PrefixTuningConfig.model_validate({"number_of_virtual_tokens": 3, "encoder_hidden_size": 7} | settings)
        adapter = fresh(network_of(SHAPES["llama"]), config)
        return [tuple(weight.shape) for weight in adapter.named_parameters().values()]

    plain, projected = shapes(), shapes(prefix_projection=True)
    assert plain == [(3, 64)]
    assert projected == [(3, 16), (7,), (7, 16), (64,), (64, 7)]
    assert shapes(number_of_virtual_tokens=4) == [(4, 64)]
    assert shapes(prefix_projection=True, encoder_hidden_size=9) == [(3, 16), (9,), (9, 16), (64,), (64, 9)]
