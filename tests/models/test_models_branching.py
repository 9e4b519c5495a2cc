"""Which networks run forests, and which take rows."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    BertConfig,
    Gemma2Config,
    GPTJConfig,
    GptOssConfig,
    MptConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from networks import _SIZES, FAMILIES, tiny_network
from running_networks import RUNNING, running_network
from tunelab.errors import ModelError
from tunelab.models.architecture import running_kinds, running_kinds_in
from tunelab.models.attention import IMPLEMENTATION
from tunelab.models.branching import cannot_branch, network_kinds, training_attention


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_branches_is_trained_on_forests(family: str, dtype: torch.dtype) -> None:
    network = tiny_network(family, dtype=dtype)
    assert cannot_branch(network) is None
    with training_attention(network):
        assert network.config._attn_implementation == IMPLEMENTATION
    assert network.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", RUNNING)
def test_layers_that_carry_a_state_are_recognised_and_left_as_they_are(family: str) -> None:
    network = running_network(family)
    before = network.config._attn_implementation
    assert "carry a state along the row" in str(cannot_branch(network))
    with training_attention(network):
        assert network.config._attn_implementation == before


@pytest.mark.parametrize(
    "config",
    [
        GPTJConfig(vocab_size=50, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=64),
        MptConfig(vocab_size=50, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
        Gemma2Config(**_SIZES, head_dim=8),
        GptOssConfig(**_SIZES, head_dim=8, num_local_experts=2, num_experts_per_tok=1),
    ],
    ids=lambda config: config.model_type,
)
def test_attention_that_would_get_a_wrong_mask_bias_cap_or_sink_is_found_by_trial(config) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    assert not network_kinds(network)
    before = network.config._attn_implementation
    assert cannot_branch(network)
    assert network.config._attn_implementation == before
    assert not network.training


def test_a_network_whose_tokens_see_later_ones_is_refused() -> None:
    sizes = {key: _SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    network = AutoModelForCausalLM.from_config(BertConfig(**sizes, intermediate_size=64)).eval()
    with pytest.raises(ModelError, match=r"bert: in this model tokens see those that come after them.*causal"):
        cannot_branch(network)


@pytest.mark.parametrize("kind", ["llama", "mamba"])
def test_outputs_that_are_not_finite_are_told_with_their_layer_and_not_taken_for_sight_of_later_tokens(
    kind: str,
) -> None:
    network = running_network(kind) if kind in RUNNING else tiny_network(kind)
    name, layer = [(name, each) for name, each in network.named_modules() if isinstance(each, torch.nn.Linear)][-2]
    layer.weight.data[3] = torch.nan
    with pytest.raises(ModelError, match=rf"the outputs of this model are not finite.* come from {name};"):
        cannot_branch(network)


def test_every_stateful_model_of_transformers_is_recognised_by_its_config_alone(tmp_path: Path) -> None:
    folders = Path(transformers.models.__file__).parent
    stateful = {
        file.parent.name for file in folders.glob("*/modeling_*.py") if "_is_stateful = True" in file.read_text()
    }
    known = sorted(stateful & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
    assert len(known) > 15
    for kind in known:
        (tmp_path / "config.json").write_text(json.dumps(CONFIG_MAPPING[kind]().to_dict(), default=str))
        assert running_kinds_in(tmp_path), kind


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        ({"layer_types": ["linear_attention", "full_attention"]}, ["linear_attention"]),
        ({"text_config": {"layer_types": ["conv", "full_attention"]}, "mamba_d_state": 8}, ["conv"]),
        ({"model_type": "granitemoehybrid", "layer_types": ["attention"], "mamba_d_state": 8}, []),
        ({"model_type": "lfm2", "conv_L_cache": 3}, ["conv"]),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "M-*", "mamba_num_heads": 4}, ["state space"]),
        ({"model_type": "gemma3_text", "layer_types": ["sliding_attention", "full_attention"]}, []),
        ({"model_type": "llama"}, []),
    ],
)
def test_the_kinds_of_layers_are_read_from_a_config(config: dict[str, object], kinds: list[str]) -> None:
    assert running_kinds(config) == kinds


def test_a_folder_without_a_readable_config_declares_nothing(tmp_path: Path) -> None:
    assert running_kinds_in(tmp_path) == []
    (tmp_path / "config.json").write_text("[1")
    assert running_kinds_in(tmp_path) == []
