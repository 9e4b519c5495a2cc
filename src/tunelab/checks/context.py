"""What the checks look at: everything that was read, and the run that is planned with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tunelab.checks.config import ChecksConfig
from tunelab.dataset.dataset import Dataset
from tunelab.models.estimate import MemoryEstimate
from tunelab.models.layer_roles import Target
from tunelab.rendering.template_messages import Abilities


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """The course of a run as far as it can be known before it."""

    total_steps: int
    """Optimizer steps."""
    examples_per_step: int | None
    """Training conversations that an optimizer step takes; None where it takes filled rows."""
    num_warmup_steps: int = 0
    uses_warmup: bool = False
    """True where the scheduler is one that warms up."""
    num_epochs: float = 1.0
    """Passes over the training rows."""
    wants_evaluation: bool = False
    """True where the recipe wants held-out loss, whether or not rows are held out."""
    evaluates: bool = False
    """True where held-out loss is measured every `eval_steps`."""
    eval_steps: int = 1
    save_steps: int = 1
    keeps_best: bool = False
    """True where the best checkpoint is the one that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """What a run would train of its base model, and the memory it would take, as far as the model's files tell."""

    targets: tuple[Target, ...]
    """What each requested target matches; empty for adapters that request none."""
    unmatched: str
    """Which requested target matches nothing, and where it stands; empty if all match."""
    remedy: str
    """What to request instead."""
    num_weights: int
    num_trainable: int
    dtype: str
    """Precision of the base weights in memory."""
    device: str
    """Where the run is expected to be: ``a CPU``, ``a GPU``."""
    device_bytes: int | None
    """Memory of that device; None where it is not known."""
    memory: MemoryEstimate | None
    """Of the largest micro-batch of an epoch."""
    divides_by_zero: str = ""
    """What DoRA would divide by zero; empty where it would not, or nobody looked."""
    divides_remedy: str = ""
    """What to train instead."""
    num_expert_weights: int = 0
    """Of `num_weights`, those of experts, which no layer of LoRA reaches."""
    trains_base: bool = False
    """True if the trainable weights are those of the base model itself."""

    def in_words(self) -> Iterator[str]:
        """Yield what is trained, of how much, and in how much memory, a sentence each."""
        yield from (target.in_words for target in self.targets)
        if not self.unmatched:
            num_frozen = self.num_weights - (self.num_trainable if self.trains_base else 0)
            yield f"{self.num_trainable:,} trainable weights over {num_frozen:,} frozen ones"
            if self.memory is not None:
                yield f"memory: {self.memory.in_words()}, in {self.dtype} on {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Data as they were read, rendered where a tokenizer is at hand, and what is planned with them."""

    dataset: Dataset
    skips_bad_rows: bool = False
    """True where the user knows of them and wants to go on without."""
    template: Abilities | None = None
    """What the model's chat template can write; None where there is no tokenizer."""
    has_template: bool = True
    """Whether the model brings a chat template."""
    max_length: int | None = None
    """Longest training sequence, in tokens; None where there is no tokenizer."""
    bos_id: int | None = None
    """The tokenizer's beginning-of-sequence id, where it has one."""
    max_positions: int | None = None
    """Longest sequence the base model has positions for, virtual tokens taken off; None where its config sets none."""
    train_samples: int | None = None
    """How many training conversations were asked for; None for all of them."""
    planned: PlannedRun | None = None
    """None where no run is planned (a data file is checked)."""
    model: PlannedModel | None = None
    """None where no run is planned, or where only loading the model tells."""
    config: ChecksConfig = field(default_factory=ChecksConfig)
