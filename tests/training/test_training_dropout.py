"""With dropout, a forest trains what the unshared rows train, in expectation."""

import numpy as np
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from networks import sequence, tiny_network
from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.batching.step_plan import StepPlan, plan_batches
from tunelab.models.branching import training_attention
from tunelab.training.forest_root import run_root
from tunelab.training.forward import forest_loss

TREE = [
    sequence([1, 2, 3], [4, 5]),
    sequence([1, 2, 3], [4, 6, 7]),
    sequence([1, 2, 3, 4, 5, 8], [9]),
    sequence([1, 9], [3]),
]
NUM_DRAWS = 60


def _gradients(network, weights: list[torch.Tensor], adapter, plan: StepPlan, *, seeds: range) -> np.ndarray:  # type: ignore[no-untyped-def,type-arg]
    """Return (samples, weights) gradients, each under a dropout of its own."""
    found = []
    with training_attention(network):
        for seed in seeds:
            torch.manual_seed(seed)
            root = run_root(network, adapter, plan.root_ids_R)
            loss = sum(forest_loss(network, adapter, forest, root) for forest in plan.forests)
            gradients = torch.autograd.grad(loss, weights)
            found.append(torch.cat([each.flatten() for each in gradients]).numpy())
    return np.stack(found)


def test_with_dropout_shared_and_unshared_rows_have_the_same_mean_gradient_and_another_one_than_without() -> None:
    network = tiny_network()
    adapter = attach(network, LoraConfig(r=2, lora_alpha=64, lora_dropout=0.4), init_ids=[], base_model="tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    weights = list(adapter.named_parameters().values())
    for weight in weights:
        weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    modules = [module for module in network.modules() if isinstance(module, BaseTunerLayer)]
    shared, unshared = (plan_batches([TREE], share=share) for share in (True, False))
    (exact,) = _gradients(network, weights, adapter, shared, seeds=range(1))
    for module in modules:
        module.train()
    one = _gradients(network, weights, adapter, shared, seeds=range(NUM_DRAWS))
    other = _gradients(network, weights, adapter, unshared, seeds=range(NUM_DRAWS, 2 * NUM_DRAWS))

    def deviation(difference: np.ndarray, variance: np.ndarray) -> float:  # type: ignore[type-arg]
        """Return the mean squared number of standard errors: 1 where the expectation is zero."""
        seen = variance > 0
        return float((difference[seen] ** 2 / variance[seen]).mean())

    variance = one.var(axis=0) / NUM_DRAWS
    assert 0.7 < deviation(one.mean(axis=0) - other.mean(axis=0), variance + other.var(axis=0) / NUM_DRAWS) < 1.4
    assert deviation(one.mean(axis=0) - exact, variance) > 5  # so many samples tell expectations apart
