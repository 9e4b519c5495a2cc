"""Settings of the training loop; names are those of transformers."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tunelab.settings import marks

SchedulerName = Literal[
    "linear", "cosine", "constant", "linear_with_warmup", "cosine_with_warmup", "constant_with_warmup"
]
Share = Annotated[float, Field(gt=0, lt=1)]


SAVE_STEPS = 64
"""Optimizer steps between checkpoints, as near as evaluations allow."""


class TrainingConfig(BaseModel):
    """How an adapter is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    output_dir: str | None = None
    """Folder of the run; null makes runs/<run id> in the workspace."""
    num_train_epochs: float = Field(1.0, gt=0, le=1000, json_schema_extra=marks(everyday=True, unit="epochs"))
    """Passes over the training rows; a fraction is allowed."""
    num_training_steps: int | None = Field(None, ge=1, json_schema_extra=marks(unit="steps"))
    """Optimizer steps; null computes them from num_train_epochs."""
    per_device_train_batch_size: int = Field(8, ge=1, json_schema_extra=marks(everyday=True, unit="examples"))
    """Examples (or filled rows) in a training micro-batch."""
    per_device_eval_batch_size: int = Field(8, ge=1, json_schema_extra=marks(unit="examples"))
    """Examples (or filled rows) in an evaluation batch."""
    gradient_accumulation_steps: int = Field(1, ge=1, json_schema_extra=marks(everyday=True, unit="micro-batches"))
    """Micro-batches summed into one optimizer step."""
    learning_rate: float = Field(2e-4, gt=0, le=1, json_schema_extra=marks(everyday=True, scale="log"))
    """Peak learning rate."""
    lr_scheduler_type: SchedulerName = Field("linear", json_schema_extra=marks(everyday=True))
    """Learning-rate schedule."""
    num_warmup_steps: Annotated[int, Field(ge=0)] | Share = Field(
        0, json_schema_extra=marks(everyday=True, unit="steps")
    )
    """Warm-up steps, in which the learning rate rises, or below 1 their share of all steps; used by the _with_warmup
    schedules."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the first moment."""
    adam_beta2: float = Field(0.95, ge=0, lt=1)
    """AdamW's decay of the second moment."""
    adam_epsilon: float = Field(1e-8, gt=0, le=1, json_schema_extra=marks(scale="log"))
    """AdamW's epsilon."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients are scaled down to this norm; 0 leaves them."""
    eval_strategy: Literal["steps", "epoch", "no"] = "steps"
    """When held-out loss is measured."""
    eval_steps: int = Field(64, ge=1, json_schema_extra=marks(everyday=True, unit="steps"))
    """Optimizer steps between evaluations."""
    eval_delay: float = Field(0, ge=0)
    """Steps (or epochs, with eval_strategy epoch) before the first evaluation."""
    eval_accumulation_steps: int | None = Field(None, ge=1, json_schema_extra=marks(unit="batches"))
    """Evaluation batches whose losses stay on the device before they move to the CPU; null moves them once, at the
    end."""
    save_steps: int = Field(None, ge=1, validate_default=True, json_schema_extra=marks(unit="steps"))
    """Optimizer steps between checkpoints, a multiple of eval_steps; unless it is set, the one nearest to 64."""
    save_minutes: float | None = Field(10, gt=0, json_schema_extra=marks(unit="minutes"))
    """A checkpoint is also saved once the last one is this old; null saves by steps alone. Without effect on bytes."""
    save_total_limit: int = Field(2, ge=1, json_schema_extra=marks(unit="checkpoints"))
    """Newest checkpoints kept; the best one is kept as well."""
    early_stopping_patience: int | None = Field(5, ge=1, json_schema_extra=marks(everyday=True, unit="evaluations"))
    """Evaluations without improvement after which training ends; null never ends early."""
    load_best_model_at_end: bool = True
    """The finished adapter is the one with the lowest held-out loss, not the last."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    fsdp: bool = False
    """Several processes (torchrun) each hold a part of every frozen layer (FSDP2), for a base larger than one card;
    false: each holds the whole base."""
    bf16: bool = False
    """Compute in bfloat16 (autocast)."""
    fp16: bool = False
    """Compute in float16 (autocast with loss scaling)."""
    seed: int = Field(42, ge=0, le=2**32 - 1, json_schema_extra=marks(everyday=True))
    """Seed of sampling, order, initial adapter weights and dropout."""
    logging_steps: int = Field(1, ge=1, json_schema_extra=marks(unit="steps"))
    """Optimizer steps between training events."""

    def warmup_steps(self, total_steps: int) -> int:
        """Return for how many of `total_steps` the learning rate rises; a share is rounded up."""
        if not self.lr_scheduler_type.endswith("_with_warmup"):
            return 0
        given = self.num_warmup_steps
        return given if isinstance(given, int) else math.ceil(given * total_steps)

    @field_validator("save_steps", mode="before")
    @classmethod
    def _whole_evaluations(cls, given: object, info: ValidationInfo) -> object:
        return _usual_save_steps(info.data) if given is None else given

    @property
    def sets_save_steps(self) -> bool:
        """Whether save_steps is another number than the one that follows eval_steps."""
        return self.save_steps != _usual_save_steps(self.model_dump())

    def remarks(self, given: Collection[str]) -> Iterator[str]:
        """Yield what is to be said of values that other settings decide; `given` are the names that somebody set."""
        if "save_steps" not in given and self.save_steps != SAVE_STEPS:
            yield f"training.save_steps is {self.save_steps:,}, a multiple of training.eval_steps, {self.eval_steps:,}."


def _usual_save_steps(settings: Mapping[str, Any]) -> int:
    evaluates = settings.get("eval_strategy") == "steps"
    return multiple_near(SAVE_STEPS, settings.get("eval_steps", SAVE_STEPS) if evaluates else SAVE_STEPS)


def multiple_near(steps: int, unit: int) -> int:
    """Return the multiple of `unit` that is nearest to `steps`, at least one."""
    return max(1, round(steps / unit)) * unit
