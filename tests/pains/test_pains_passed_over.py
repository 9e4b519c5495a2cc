"""Layers that were asked for and would not be trained are refused, whoever passes them over."""

from pathlib import Path

import pytest
from peft.utils import transformers_weight_conversion as peft_tables
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM

from networks import _SIZES
from running_networks import running_network
from tiny_model import save_tiny_model
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.adapters.fused_experts import taken_for_experts
from tunelab.errors import AdapterError
from tunelab.models.estimate import sizes_in
from tunelab.models.network_layers import modules_of
from tunelab.models.weight_headers import read_headers


def test_layers_whose_names_peft_takes_for_fused_experts_are_refused_with_the_names_that_work() -> None:
    with pytest.raises(AdapterError, match=r"shared_expert.*not train|not train.*shared_expert") as refusal:
        attach(running_network("qwen3_next"), LoraConfig(r=2), init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]
    names = str(refusal.value).rsplit("[", 1)[1].split("]")[0].split(", ")
    config = LoraConfig(r=2, target_modules=names)
    adapter = attach(running_network("qwen3_next"), config, init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]
    assert adapter.named_parameters()


def test_check_refuses_the_same_layers_before_the_model_is_loaded(tmp_path: Path) -> None:
    config = AutoConfig.for_model(
        "glm4_moe", **_SIZES, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=16
    )
    network = AutoModelForCausalLM.from_config(config)
    folder = save_tiny_model(tmp_path / "model")
    network.save_pretrained(folder)
    stored, sizes = read_headers(folder), sizes_in(folder)
    assert stored is not None
    assert sizes is not None
    said = []
    for modules in (stored.modules(num_layers=sizes.layers), modules_of(network)):
        with pytest.raises(AdapterError, match="would not train") as refusal:
            LoraConfig().targets_in(modules)
        said.append(refusal.value)
    assert said[0].remedy == said[1].remedy
    names = said[0].remedy.rsplit("[", 1)[1].split("]")[0].split(", ")
    attach(network, LoraConfig(r=2, target_modules=names), init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]


def test_the_names_that_peft_rewrites_are_those_of_the_installed_peft() -> None:
    rewritten = {
        kind: tuple(peft_tables._MOE_TARGET_MODULE_MAPPING[like])
        for kind, like in peft_tables._MODEL_TO_CONVERSION_PATTERN.items()
        if like in peft_tables._MOE_TARGET_MODULE_MAPPING and kind in CONFIG_MAPPING
    }
    assert len(rewritten) > 20
    for kind, names in rewritten.items():
        assert set(taken_for_experts(kind)) == set(names), kind
    assert taken_for_experts("llama") == ()
