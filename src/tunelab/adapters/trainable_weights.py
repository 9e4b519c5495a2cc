"""How many weights an adapter trains, from numbers alone. Imports no torch."""

from collections.abc import Sequence

from tunelab.adapters.config import AdapterConfig, LoraConfig, SoftPromptConfig
from tunelab.models.estimate import Sizes
from tunelab.models.requested_targets import Target


def count_trainable(config: AdapterConfig, *, targets: Sequence[Target], sizes: Sizes) -> int:
    """Return the weights that an adapter trains; bias terms, which `lora.bias` may add, are not among them.

    Args:
        config: of the adapter.
        targets: what its wishes matched; only LoRA has any.
        sizes: of the base model.
    """
    if isinstance(config, LoraConfig):
        magnitudes = sum(outputs for target in targets for _, outputs in target.shapes) if config.use_dora else 0
        return sum(target.num_lora_weights(config.r) for target in targets) + magnitudes
    number = config.number_of_virtual_tokens
    if isinstance(config, SoftPromptConfig):
        return number * sizes.hidden
    numbers = 2 * sizes.layers * sizes.keys
    if not config.prefix_projection:
        return number * numbers
    hidden = config.encoder_hidden_size
    return number * sizes.keys + (sizes.keys + 1) * hidden + (hidden + 1) * numbers
