"""Layers and weights are counted from the headers of the files as from the loaded network."""

import json
import struct
from math import prod
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig

from networks import FAMILIES
from running_networks import RUNNING
from tunelab.errors import AdapterError
from tunelab.models.estimate import mlp_width, sizes_in
from tunelab.models.layer_roles import match_targets
from tunelab.models.memory import sizes_of
from tunelab.models.network_layers import find_targets
from tunelab.models.weight_headers import read_headers

_MOE = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
}
EXPERTS: dict[str, PretrainedConfig] = {
    "mixtral": CONFIG_MAPPING["mixtral"](**_MOE, num_local_experts=4),
    "olmoe": CONFIG_MAPPING["olmoe"](**_MOE, num_experts=4),
    "gpt_oss": CONFIG_MAPPING["gpt_oss"](**_MOE, num_local_experts=4, head_dim=8),
    "qwen3_moe": CONFIG_MAPPING["qwen3_moe"](**_MOE, num_experts=4, moe_intermediate_size=12, head_dim=8),
    "qwen2_moe": CONFIG_MAPPING["qwen2_moe"](
        **_MOE, num_experts=4, moe_intermediate_size=12, shared_expert_intermediate_size=20
    ),
    "deepseek_v3": CONFIG_MAPPING["deepseek_v3"](
        **_MOE,
        n_routed_experts=4,
        moe_intermediate_size=12,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=4,
    ),
}


def write_headers(
    folder: Path, shapes: dict[str, tuple[int, ...]], config: dict[str, object], dtype: str = "F32"
) -> None:
    """Write a file whose header is whole, and whose weights nobody needs."""
    entries = {name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (folder / "config.json").write_text(json.dumps(config))


def saved(folder: Path, config: PretrainedConfig) -> torch.nn.Module:
    network = AutoModelForCausalLM.from_config(config)
    network.save_pretrained(folder)
    return network  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["attention", "mlp", "all-linear", "embeddings"])
def test_pain_07_what_a_wish_matches_is_known_from_the_headers(family: str, role: str, tmp_path: Path) -> None:
    network = saved(tmp_path, FAMILIES[family])
    weights, sizes = read_headers(tmp_path), sizes_in(tmp_path)
    (loaded,) = find_targets(network, role)  # type: ignore[arg-type]
    assert weights is not None
    assert sizes is not None
    (named,) = match_targets(weights.layers, role, kind=family, num_layers=sizes.layers)
    assert sorted(named.shapes) == sorted(loaded.shapes)
    assert (named.num_reached, named.num_layers) == (loaded.num_reached, loaded.num_layers)
    assert set(named.names) == set(loaded.names)
    assert weights.num_weights == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_those_of_the_loaded_config(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save_pretrained(tmp_path)
    read, loaded = sizes_in(tmp_path), sizes_of(FAMILIES[family])
    assert read is not None
    assert (read.hidden, read.layers, read.mlp, read.vocabulary) == (
        loaded.hidden,
        loaded.layers,
        loaded.mlp,
        loaded.vocabulary,
    )


@pytest.mark.parametrize("family", EXPERTS)
@pytest.mark.parametrize("role", ["attention", "mlp", "all-linear"])
def test_of_experts_the_weights_are_counted_and_no_layer_is_promised(family: str, role: str, tmp_path: Path) -> None:
    network = saved(tmp_path, EXPERTS[family])
    weights, sizes = read_headers(tmp_path), sizes_in(tmp_path)
    assert weights is not None
    assert sizes is not None
    named = {name: weight.numel() for name, weight in network.named_parameters()}
    assert weights.num_weights == sum(weight.numel() for weight in network.state_dict().values())
    assert weights.num_expert_weights == sum(size for name, size in named.items() if ".experts." in name) > 0
    assert sizes.mlp == sizes_of(EXPERTS[family]).mlp
    try:
        (loaded,) = find_targets(network, role)  # type: ignore[arg-type]
    except AdapterError:
        with pytest.raises(AdapterError):
            match_targets(weights.layers, role, kind=family, num_layers=sizes.layers)
        return
    (told,) = match_targets(weights.layers, role, kind=family, num_layers=sizes.layers)
    assert sorted(told.shapes) == sorted(loaded.shapes)
    assert set(told.names) == set(loaded.names)


def test_a_token_runs_through_its_experts_and_those_of_every_token() -> None:
    assert sizes_of(EXPERTS["mixtral"]).mlp == 2 * 24
    assert sizes_of(EXPERTS["qwen2_moe"]).mlp == 2 * 12 + 20
    assert sizes_of(EXPERTS["deepseek_v3"]).mlp == 2 * 12 + 12
    assert mlp_width({"intermediate_size": 24}, 16) == 24
    assert mlp_width({}, 16) == 64


@pytest.mark.parametrize("family", RUNNING)
def test_models_with_a_state_are_left_to_loading(family: str, tmp_path: Path) -> None:
    RUNNING[family].save_pretrained(tmp_path)
    write = {"a.weight": (2, 2)}
    config = json.loads((tmp_path / "config.json").read_text())
    write_headers(tmp_path, write, config)
    assert read_headers(tmp_path) is None


def test_phi_4_mini_wishes_for_split_projections_are_refused_without_a_weight(tmp_path: Path) -> None:
    blocks = {
        f"model.layers.{n}.self_attn.{name}.weight": shape
        for n in range(32)
        for name, shape in (("qkv_proj", (5120, 3072)), ("o_proj", (3072, 3072)))
    }
    write_headers(tmp_path, blocks | {"model.norm.weight": (3072,)}, {"model_type": "phi3"}, dtype="BF16")
    weights = read_headers(tmp_path)
    assert weights is not None
    assert (weights.dtype, weights.num_weights) == ("BF16", sum(map(prod, blocks.values())) + 3072)
    (target,) = match_targets(weights.layers, "attention", kind="phi3", num_layers=32)
    assert 16 * sum(map(sum, target.shapes)) == 7_340_032
    with pytest.raises(AdapterError, match="fused: use qkv_proj"):
        match_targets(weights.layers, ["q_proj", "o_proj"], kind="phi3", num_layers=32)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b'{"a": {}}', struct.pack("<Q", 5) + b"{"],
    ids=["empty", "too long", "list", "no shape", "cut short"],
)
def test_a_broken_header_tells_nothing_and_breaks_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert read_headers(tmp_path) is None


def test_parts_are_read_by_the_index_and_never_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_headers(folder, {"a.weight": (2, 3)}, {})
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    write_headers(tmp_path, {"b.weight": (5, 5)}, {})
    index = {"weight_map": {"a.weight": "one.safetensors", "b.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    weights = read_headers(folder)
    assert weights is not None
    assert weights.layers == {"a": (3, 2)}


@pytest.mark.parametrize("name", ["a.experts.0.weight", "vision_tower.a.weight", "a.qweight"])
def test_what_is_laid_out_otherwise_in_memory_is_left_to_loading(name: str, tmp_path: Path) -> None:
    write_headers(tmp_path, {name: (2, 2)}, {})
    assert read_headers(tmp_path) is None
    write_headers(tmp_path, {"a.weight": (2, 2)}, {}, dtype="U8")
    assert read_headers(tmp_path) is None
