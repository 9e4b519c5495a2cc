"""Layers that were asked for and would not be trained are refused, whoever passes them over."""

import pytest

from running_networks import running_network
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.errors import AdapterError


def test_layers_whose_names_peft_takes_for_fused_experts_are_refused_with_the_names_that_work() -> None:
    with pytest.raises(AdapterError, match=r"shared_expert.*not train|not train.*shared_expert") as refusal:
        attach(running_network("qwen3_next"), LoraConfig(r=2), init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]
    names = str(refusal.value).rsplit("[", 1)[1].split("]")[0].split(", ")
    config = LoraConfig(r=2, target_modules=names)
    adapter = attach(running_network("qwen3_next"), config, init_ids=[], base_model="tiny", seed=0)  # type: ignore[arg-type]
    assert adapter.named_parameters()
