"""What the rules are given: everything that was read, and the run that is planned with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tunelab.checks.config import ChecksConfig
from tunelab.dataset.dataset import Dataset
from tunelab.errors import UserError
from tunelab.models.estimate import MemoryEstimate
from tunelab.models.layer_roles import Target
from tunelab.rendering.template_messages import Abilities


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run as far as it is known before it starts."""

    total_steps: int
    """Optimizer steps."""
    examples_per_step: int | None
    """Training conversations that an optimizer step takes; None where it takes filled rows."""
    num_warmup_steps: int = 0
    uses_warmup: bool = False
    """True if the learning-rate schedule has warm-up steps."""
    num_epochs: float = 1.0
    """Passes over the training rows."""
    wants_evaluation: bool = False
    """True if the recipe asks for held-out loss, whether or not rows are held out."""
    evaluates: bool = False
    """True if held-out loss is measured every `eval_steps`."""
    eval_steps: int = 1
    save_steps: int = 1
    sets_save_steps: bool = True
    """False if save_steps follows eval_steps because nobody set it."""
    stops_early: bool = False
    """True if training ends once held-out loss no longer falls."""
    keeps_best: bool = False
    """True if the best checkpoint is the one that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """What a run would train of its base model, and the memory it would take, as far as the model's files say."""

    targets: tuple[Target, ...]
    """What each requested target matches; empty for adapters that request none."""
    unmatched: str
    """Which requested target matches nothing, and the setting that names it; empty if all match."""
    remedy: str
    """What to request instead."""
    num_weights: int
    num_trainable: int
    dtype: str
    """Precision of the base weights in memory."""
    device: str
    """Where the run is expected to be: ``a CPU``, ``a GPU``."""
    device_bytes: int | None
    """Memory of that device; None if it is not known."""
    memory: MemoryEstimate | None
    """Of the largest micro-batch of an epoch."""
    divides_by_zero: str = ""
    """What DoRA would divide by zero; empty if it would not, or if the weights were not read."""
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
class UnmetRequirement:
    """Something that `train` refuses before its first step, whatever the data are like."""

    code: str
    """Of the finding."""
    error: UserError
    """What `train` raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Data as they were read, rendered if there is a tokenizer, and the run that is planned with them."""

    dataset: Dataset
    skips_bad_rows: bool = False
    """True if the user chose to leave them out (`data.bad_rows: skip`)."""
    template: Abilities | None = None
    """What the model's chat template can write; None without a tokenizer."""
    has_template: bool = True
    """Whether the model brings a chat template."""
    max_length: int | None = None
    """Longest training sequence, in tokens; None without a tokenizer."""
    special_tokens: tuple[str, ...] = ()
    """Texts of the tokenizer's special tokens."""
    end_tokens: tuple[str, ...] = ()
    """Texts of the tokens that end an answer."""
    bos_id: int | None = None
    """The tokenizer's beginning-of-sequence id, if it has one."""
    max_positions: int | None = None
    """Longest sequence the base model has positions for, virtual tokens taken off; None if its config sets none."""
    train_samples: int | None = None
    """How many training conversations the recipe asks for; None for all of them."""
    planned: PlannedRun | None = None
    """None if no run is planned (a data file is checked)."""
    model: PlannedModel | None = None
    """None if no run is planned, or if only loading the model can say."""
    refusals: tuple[UnmetRequirement, ...] = ()
    """What `train` would refuse; empty if no run is planned."""
    config: ChecksConfig = field(default_factory=ChecksConfig)
