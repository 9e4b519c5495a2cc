"""AdamW and the learning-rate schedule."""

from collections.abc import Callable, Mapping

import torch
import transformers

from tunelab.training.config import TrainingConfig


def make_optimizer(
    weights: Mapping[str, torch.nn.Parameter], config: TrainingConfig, factors: Mapping[str, float]
) -> torch.optim.AdamW:
    """Return AdamW over the adapter's weights; the rate of those in `factors` is that many times the others'.

    As in transformers, the norms and biases of a base that is trained whole have no weight decay.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, weight in weights.items():
        is_norm_or_bias = weight.ndim < 2 and "lora_" not in name
        decay = 0.0 if is_norm_or_bias else config.weight_decay
        groups.setdefault((factors.get(name, 1.0), decay), []).append(weight)
    return torch.optim.AdamW(
        [{"params": group, "factor": factor, "weight_decay": decay} for (factor, decay), group in groups.items()],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=True,  # one pass over weights and moments instead of twelve
    )


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Set the learning rate of the next step; weights with a factor of their own take that multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def learning_rates(config: TrainingConfig, *, total_steps: int) -> Callable[[int], float]:
    """Return the learning rate of each 0-based optimizer step, a pure function of the step."""
    name: str = config.lr_scheduler_type  # transformers' linear and cosine have a warm-up, its constant has none
    name = name if name.startswith("constant") else name.removesuffix("_with_warmup")
    schedule = transformers.get_scheduler(
        name,
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0),
        num_warmup_steps=config.warmup_steps(total_steps),
        num_training_steps=total_steps,
    )
    (factor,) = schedule.lr_lambdas
    return lambda step: config.learning_rate * float(factor(step))


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def optimizer_state(optimizer: torch.optim.AdamW, weights: Mapping[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """Return copies of AdamW's state as `exp_avg.<name>` and so on."""
    return {
        f"{moment}.{name}": optimizer.state[weight][moment].detach().cpu().clone()
        for name, weight in weights.items()
        if weight in optimizer.state
        for moment in _MOMENTS
    }


def restore_optimizer(
    optimizer: torch.optim.AdamW,
    weights: Mapping[str, torch.nn.Parameter],
    saved: Callable[[str], dict[str, torch.Tensor]],
) -> None:
    """Put saved state back; `saved` gives the tensors of one moment by parameter name."""
    moments = {moment: saved(moment) for moment in _MOMENTS}
    for name, weight in weights.items():
        if name in moments["step"]:
            state = {moment: moments[moment][name].clone() for moment in _MOMENTS}
            optimizer.state[weight] = {
                moment: each if moment == "step" else each.to(weight.device) for moment, each in state.items()
            }
