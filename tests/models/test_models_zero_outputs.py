"""Outputs without weights are counted in the files as peft counts them in the loaded network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from networks import FAMILIES, tiny_network
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.errors import AdapterError
from tunelab.models.network_layers import find_targets
from tunelab.models.weight_headers import read_headers
from tunelab.models.zero_outputs import count_zero_outputs, zero_outputs_in_words

NO_IDS = np.array([], dtype=np.int32)


def emptied(family: str, role: str, folder: Path, *, dtype: torch.dtype = torch.float32) -> tuple[torch.nn.Module, str]:
    """Save a network of which one module has three outputs without weights, one of them of negative zeros."""
    network = tiny_network(family, dtype=dtype)
    (target,) = find_targets(network, role)
    name = target.modules[-1]
    weight = network.get_submodule(name).weight.data
    outputs = (
        weight.T if (target.shapes[-1] == tuple(weight.shape) and family == "gpt2") or role == "embeddings" else weight
    )
    outputs[[0, 2, 5]] = 0
    outputs[5] *= -1
    outputs[7, :-1] = 0  # one weight is left
    network.save_pretrained(folder)
    return network, name


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings:UserWarning")  # peft on its own
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["all-linear", "embeddings"])
def test_what_dora_would_divide_by_zero_is_known_from_the_files(family: str, role: str, tmp_path: Path) -> None:
    network, emptied_module = emptied(family, role, tmp_path)
    weights = read_headers(tmp_path)
    assert weights is not None
    (target,) = find_targets(network, role)
    counts = count_zero_outputs(tmp_path, weights, target.modules)
    assert {name: count for name, (count, _) in counts.items() if count} == {emptied_module: 3}
    what, remedy = zero_outputs_in_words(counts)
    wish = LoraConfig(r=4, use_dora=True, target_modules=role)
    with pytest.raises(AdapterError) as refused:
        attach(network, wish, init_ids=NO_IDS, base_model="tiny", seed=3)
    assert (refused.value.what, refused.value.remedy) == (what, remedy)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_zero_is_zero_in_every_precision_and_nothing_else_is(dtype: torch.dtype, tmp_path: Path) -> None:
    _, name = emptied("llama", "mlp", tmp_path, dtype=dtype)
    weights = read_headers(tmp_path)
    assert weights is not None
    assert count_zero_outputs(tmp_path, weights, [name])[name][0] == 3


def test_large_layers_and_broken_files_are_left_to_loading(tmp_path: Path) -> None:
    _, name = emptied("llama", "mlp", tmp_path)
    weights, file = read_headers(tmp_path), tmp_path / "model.safetensors"
    assert weights is not None
    assert count_zero_outputs(tmp_path, weights, [name], most_bytes=10) == {}
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 2])
    assert count_zero_outputs(tmp_path, weights, weights.layers) == {}
    assert zero_outputs_in_words({}) == ("", "")
