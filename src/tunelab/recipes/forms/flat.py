"""ModelLab's forms of `lora.yaml` and `soft_prompt.yaml`: which keys they show, in which order, with which limits.

What a key does, its type and its widest limits come from the setting that it becomes; here is what ModelLab's form says
apart from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunelab.recipes.forms.form import Field, Group, Option


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatField:
    """What a form of ModelLab's says of a key; what is None or empty is as the setting has it."""

    label: str
    """What is asked."""
    min: float | None = None
    """Least value."""
    max: float | None = None
    """Largest value."""
    options: tuple[Option, ...] = ()
    """The only values there are."""
    default: Any = None
    """The template's value, if the table of keys does not know it."""
    file_name: str | None = None
    """What a chosen file is called; empty keeps its name."""
    save_path: str | None = None
    """The folder under the run's that gets it."""
    sample: str = ""
    """Example lines of the file."""


_CHAT = (
    '{"messages": [{"role": "user", "content": "How often should I water a fern?"}, '
    '{"role": "assistant", "content": "Every three days."}]}\n'
    '{"messages": [{"role": "user", "content": "And a cactus?"}, '
    '{"role": "assistant", "content": "Every three weeks."}]}'
)
_PAIRS = (
    '{"query": "How often should I water a fern?", "response": "Every three days."}\n'
    '{"query": "And a cactus?", "response": "Every three weeks."}'
)

FIELDS = {
    "system_prompt": FlatField(label="System prompt"),
    "varied_seqlen": FlatField(label="Sequences of their own length"),
    "finetune_train_nsamples": FlatField(label="Training rows"),
    "finetune_test_nsamples": FlatField(label="Held-out rows"),
    "finetune_train_batch_size": FlatField(label="Training batch size"),
    "finetune_test_batch_size": FlatField(label="Held-out batch size"),
    "finetune_train_seqlen": FlatField(label="Longest training sequence"),
    "finetune_test_seqlen": FlatField(label="Longest held-out sequence"),
    "max_input_size": FlatField(label="Longest sequence"),
    "init_prompt": FlatField(label="Initial prompt"),
    "number_of_virtual_tokens": FlatField(label="Virtual tokens", options=(32, 64, 128, 256, 512)),
    "epochs": FlatField(label="Epochs", min=1, max=100),
    "early_stopping_patience": FlatField(label="Early stopping patience", min=1, max=100),
    "eval_steps": FlatField(label="Steps between evaluations"),
    "save_steps": FlatField(label="Steps between checkpoints"),
    "learning_rate": FlatField(label="Learning rate", min=1e-4, max=1e-2),
    "lr_scheduler_type": FlatField(
        label="Learning-rate schedule", options=("linear", "linear_with_warmup", "cosine", "cosine_with_warmup")
    ),
    "num_warmup_steps": FlatField(label="Warm-up steps", min=0, max=10_000),
    "lora_dropout": FlatField(label="LoRA dropout", min=0, max=0.5),
    "lora_r": FlatField(label="LoRA rank"),
    "lora_alpha": FlatField(label="LoRA alpha"),
    "target_modules": FlatField(label="LoRA layers"),
    "gradient_accumulation_steps": FlatField(label="Gradient accumulation steps", min=1, max=128),
    "gradient_checkpointing": FlatField(label="Gradient checkpointing"),
    "weight_decay": FlatField(label="Weight decay", min=0, max=1),
    "adam_beta1": FlatField(label="Adam beta 1", min=0.9, max=0.99),
    "adam_beta2": FlatField(label="Adam beta 2", min=0.9, max=0.999),
    "adam_epsilon": FlatField(label="Adam epsilon", min=1e-9, max=1e-6),
    "max_grad_norm": FlatField(label="Largest gradient norm"),
    "evaluation_strategy": FlatField(label="Evaluation strategy"),
    "eval_delay": FlatField(label="Delay of the first evaluation"),
    "eval_accumulation_steps": FlatField(label="Evaluation accumulation steps"),
    "num_training_steps": FlatField(label="Training steps"),
    "seed": FlatField(label="Seed"),
    "compare_file": FlatField(label="Rows to compare on", default="", file_name="", save_path="", sample=_PAIRS),
    "compare_temperature": FlatField(label="Temperature", min=0, max=2, default=0.9),
}
"""Key of the YAML -> what the form says of it. A soft prompt's own default breaks the range of learning_rate."""


def _rows(label: str, info: str, file_name: str) -> Field:
    return Field(
        type="String",
        label=label,
        info=info,
        default="",
        required=True,
        file_name=file_name,
        save_path="dataset",
        sample=_CHAT,
    )


_DATA = Group(
    group_id="data",
    title="Data",
    fields=(
        _rows("Training data", "Rows to train on, one JSON object a line.", "train.json"),
        _rows("Held-out data", "Rows to measure on, one JSON object a line.", "test.json"),
    ),
)
_FINETUNING = Group(group_id="finetuning", title="Fine-tuning")
_ADVANCED = Group(group_id="advanced", title="Advanced", collapsible=True, collapsed=True)
_COMPARISON = Group(
    group_id="comparison", title="Comparison", collapsible=True, collapsed=True, toggle="compare_enabled"
)
_ROWS = "finetune_train_nsamples finetune_test_nsamples finetune_train_batch_size finetune_test_batch_size"
_STEPS = "epochs early_stopping_patience eval_steps save_steps"

GROUPS: dict[str, tuple[tuple[Group, str], ...]] = {
    "lora": (
        (_DATA, f"system_prompt varied_seqlen {_ROWS} finetune_train_seqlen finetune_test_seqlen"),
        (_FINETUNING, f"{_STEPS} learning_rate lr_scheduler_type num_warmup_steps lora_dropout"),
        (
            _ADVANCED,
            "lora_r lora_alpha target_modules gradient_accumulation_steps gradient_checkpointing weight_decay "
            "adam_beta1 adam_beta2 adam_epsilon max_grad_norm evaluation_strategy eval_delay eval_accumulation_steps "
            "num_training_steps seed",
        ),
        (_COMPARISON, "compare_file compare_temperature"),
    ),
    "soft_prompt": (
        (_DATA, f"{_ROWS} max_input_size"),
        (_FINETUNING, f"init_prompt number_of_virtual_tokens learning_rate {_STEPS}"),
        (_ADVANCED, "evaluation_strategy seed"),
    ),
}
"""Method -> the groups of its form, each with the keys that follow its fields. Other methods have dotted keys."""
