"""The kinds of adapters there are, each with its section of a recipe. Imports no torch."""

from dataclasses import dataclass

from tunelab.adapters.config import (
    AdapterConfig,
    FullConfig,
    LoraConfig,
    PrefixTuningConfig,
    QloraConfig,
    SoftPromptConfig,
)
from tunelab.adapters.ia3 import Ia3Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of adapter."""

    title: str
    """What people call it; the name of its workflow in a project."""
    summary: str
    """What the reference of settings says of its section of a recipe."""
    config: type[AdapterConfig]
    """The settings of that section; their docstring says what is trained."""
    peft_type: str
    """What adapter_config.json calls it; FULL stands for a whole model, whose folder has no such file."""
    module: str
    """Imported when an adapter is attached: `attach(network, config, *, init_ids, base_model, seed)` returns a fresh
    adapter, `load(network, folder)` one that was saved."""
    learning_rate: float = 2e-4
    """What the recipe of a new project starts with."""

    @property
    def section(self) -> str:
        """Name of the section."""
        return self.config.section


KINDS = (
    Kind(
        title="LoRA",
        summary="A LoRA adapter; the one that is trained where no method is named.",
        config=LoraConfig,
        peft_type="LORA",
        module="tunelab.adapters.lora",
    ),
    Kind(
        title="QLoRA",
        summary="A LoRA adapter over a base in 4 or 8 bits, instead of LoRA over a whole one.",
        config=QloraConfig,
        peft_type="LORA",
        module="tunelab.adapters.lora",
    ),
    Kind(
        title="Soft Prompt",
        summary="A soft prompt, instead of LoRA.",
        config=SoftPromptConfig,
        peft_type="PROMPT_TUNING",
        module="tunelab.adapters.soft_prompt",
    ),
    Kind(
        title="Prefix Tuning",
        summary="Trained keys and values before those of every layer, instead of LoRA.",
        config=PrefixTuningConfig,
        peft_type="PREFIX_TUNING",
        module="tunelab.adapters.prefix_tuning",
        learning_rate=1e-2,
    ),
    Kind(
        title="IA3",
        summary="Trained factors on what layers put out or take in (IA³), instead of LoRA.",
        config=Ia3Config,
        peft_type="IA3",
        module="tunelab.adapters.ia3",
        learning_rate=3e-3,
    ),
    Kind(
        title="Full Fine-Tuning",
        summary="All weights of the base model, instead of an adapter: full fine-tuning.",
        config=FullConfig,
        peft_type="FULL",
        module="tunelab.adapters.full",
        learning_rate=2e-5,
    ),
)
"""Every kind, in the order of a recipe. A new one is a file of its own and a row here."""


def kind_of(config: AdapterConfig) -> Kind:
    """Return the kind whose settings `config` are."""
    return next(kind for kind in KINDS if kind.config is type(config))
