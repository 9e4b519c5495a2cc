"""The memory of a loaded network and of the device it runs on."""

import psutil
import torch
import transformers

from tunelab.models.estimate import Sizes, mlp_width


def sizes_of(config: transformers.PretrainedConfig) -> Sizes:
    """Return what of a network's shape decides the memory of a step."""
    text = config.get_text_config()
    hidden = int(text.hidden_size)
    return Sizes(
        hidden=hidden,
        layers=int(text.num_hidden_layers),
        mlp=mlp_width(text.to_dict(), hidden),
        vocabulary=int(text.vocab_size),
    )


def device_memory(device: torch.device) -> int:
    """Return the bytes of memory that `device` has, in use or not."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)
