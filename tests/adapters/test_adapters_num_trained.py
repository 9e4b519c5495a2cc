"""The weights an adapter trains are counted without it as they are with it."""

from pathlib import Path

import numpy as np
import pytest

from tiny_model import save_tiny_model
from tunelab.adapters.attach import attach
from tunelab.adapters.config import (
    AdapterConfig,
    FullConfig,
    LoraConfig,
    PrefixTuningConfig,
    QloraConfig,
    SoftPromptConfig,
)
from tunelab.adapters.ia3 import Ia3Config
from tunelab.models.config import ModelConfig
from tunelab.models.estimate import sizes_in
from tunelab.models.layer_roles import match_targets
from tunelab.models.load_model import load_model
from tunelab.models.weight_headers import read_headers


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(r=4),
        LoraConfig(r=8, target_modules=("mlp", "q_proj")),
        LoraConfig(r=4, use_dora=True),
        QloraConfig(r=4, use_dora=True),
        QloraConfig(r=4, quantization="int8"),
        SoftPromptConfig(number_of_virtual_tokens=5),
        Ia3Config(),
        FullConfig(),
        FullConfig(train_embeddings=False),
        Ia3Config(target_modules=("mlp", "q_proj")),
        PrefixTuningConfig(number_of_virtual_tokens=5),
        PrefixTuningConfig(number_of_virtual_tokens=5, prefix_projection=True, encoder_hidden_size=7),
    ],
    ids=repr,
)
def test_the_count_is_that_of_the_attached_adapter(config: AdapterConfig, tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    weights, sizes = read_headers(folder), sizes_in(folder)
    assert weights is not None
    assert sizes is not None
    targets = match_targets(weights.layers, config.requested_targets, kind="llama", num_layers=sizes.layers)
    network = load_model(folder, ModelConfig(base_model=str(folder)), quantization=config.base_quantization).network
    adapter = attach(network, config, init_ids=np.zeros(0, dtype=np.int32), base_model="tiny", seed=0)
    trained = sum(weight.numel() for weight in adapter.named_parameters().values())
    assert config.num_trained(targets=targets, sizes=sizes, num_weights=weights.num_weights) == trained > 0
