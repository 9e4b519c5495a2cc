"""Weight decay shrinks what transformers' Trainer shrinks."""

import torch

from tunelab.training.config import TrainingConfig
from tunelab.training.optimizer import make_optimizer


def test_norms_and_biases_have_no_weight_decay_and_matrices_and_magnitudes_of_dora_have() -> None:
    shapes = {
        "layers.0.mlp.up.weight": (2, 2),
        "layers.0.norm.weight": (2,),
        "layers.0.mlp.up.bias": (2,),
        "layers.0.mlp.up.lora_magnitude_vector.weight": (2,),
    }
    weights = {name: torch.nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    optimizer = make_optimizer(weights, TrainingConfig(weight_decay=0.5, learning_rate=0.1), {})
    for weight in weights.values():
        weight.grad = torch.zeros_like(weight)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    shrunk = [name for name, weight in weights.items() if not torch.equal(weight, torch.ones_like(weight))]
    assert shrunk == ["layers.0.mlp.up.weight", "layers.0.mlp.up.lora_magnitude_vector.weight"]
