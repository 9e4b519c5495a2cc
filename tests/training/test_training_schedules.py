"""The learning-rate schedules are those of transformers, and a share of warm-up is that share of the run."""

import pytest
import torch
import transformers
from pydantic import ValidationError

from tunelab.training.config import TrainingConfig
from tunelab.training.optimizer import learning_rates

STEPS = 41


def _theirs(name: str, warmup: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1e-3)
    schedule = transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS)
    return [1e-3 * schedule.lr_lambdas[0](step) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("ours", "theirs", "warmup"),
    [
        ("linear", "linear", 0),
        ("cosine", "cosine", 0),
        ("constant", "constant", 0),
        ("linear_with_warmup", "linear", 5),
        ("cosine_with_warmup", "cosine", 5),
        ("constant_with_warmup", "constant_with_warmup", 5),
    ],
)
def test_each_schedule_is_that_of_transformers(ours: str, theirs: str, warmup: int) -> None:
    config = TrainingConfig.model_validate({"learning_rate": 1e-3, "lr_scheduler_type": ours, "num_warmup_steps": 5})
    rates = learning_rates(config, total_steps=STEPS)
    assert [rates(step) for step in range(STEPS)] == pytest.approx(_theirs(theirs, warmup))


def test_a_share_of_warm_up_steps_is_rounded_up_as_transformers_does() -> None:
    config = TrainingConfig(lr_scheduler_type="cosine_with_warmup", num_warmup_steps=0.1)
    arguments = transformers.TrainingArguments(output_dir="unused", warmup_steps=0.1, use_cpu=True)
    assert config.warmup_steps(STEPS) == arguments.get_warmup_steps(STEPS) == 5
    assert TrainingConfig(lr_scheduler_type="cosine", num_warmup_steps=0.1).warmup_steps(STEPS) == 0


@pytest.mark.parametrize("given", [-1, 1.5, -0.1])
def test_a_number_of_warm_up_steps_that_is_neither_whole_nor_a_share_is_refused(given: float) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(num_warmup_steps=given)
