"""The settings of the peers that `train_peers.py` measures against; which is best is found with `--explore`."""

from typing import Any

FLASH = {"attn_implementation": "flash_attention_2"}  # where its package is installed
SETTINGS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "trl": {
        "its defaults": ("shuffled", {"gradient_checkpointing": True, "max_length": 1024}),  # longer rows are cut
        "padded": ("shuffled", {}),
        "padded, by length": ("by length", {}),
        "padded, by length, plain AdamW": ("by length", {"optim": "adamw_torch"}),
        "padded, by length, worker": ("by length", {"dataloader_num_workers": 1}),
        "padded, by length, eager": ("by length", {"attn_implementation": "eager"}),
        "padded, by length, compiled": ("by length", {"torch_compile": True}),
        "padding_free": ("shuffled", {"padding_free": True, "max_length": None}),
        "padding_free, by length": ("by length", {"padding_free": True, "max_length": None}),
        "packed": ("shuffled", {"packing": True, "per_device_train_batch_size": 1}),
        "one by one": ("as given", {"per_device_train_batch_size": 1}),
        "padded, by length, liger": ("by length", {"use_liger_kernel": True}),
        "one by one, liger": ("as given", {"per_device_train_batch_size": 1, "use_liger_kernel": True}),
        "padding_free, flash": ("shuffled", {"padding_free": True, "max_length": None, **FLASH}),
        "packed, flash": ("shuffled", {"packing": True, "per_device_train_batch_size": 1, **FLASH}),
    },
    "llamafactory": {
        "padded": ("shuffled", {}),
        "padded, by length": ("by length", {}),
        "padded, by length, checkpointing": ("by length", {"disable_gradient_checkpointing": False}),  # its default
        "padded, by length, worker": ("by length", {"dataloader_num_workers": 1}),
        "padded, by length, eager": ("by length", {"flash_attn": "disabled"}),
        "neat packing": ("shuffled", {"neat_packing": True, "per_device_train_batch_size": 1}),
        "one by one": ("as given", {"per_device_train_batch_size": 1}),
    },
    "unshared": {"sharing off": ("as given", {}), "sharing off, by length": ("by length", {})},
}
"""Peer -> name -> how rows meet, and what differs from the settings in train_side.py or train_llamafactory.py."""
BEST = {
    "trl": {"alpaca": "padded, by length", "glaive": "one by one", "airline": "one by one"},
    "llamafactory": {"alpaca": "padded, by length", "glaive": "one by one", "airline": "one by one"},
    "unshared": {"alpaca": "sharing off, by length", "glaive": "sharing off", "airline": "sharing off"},
}
"""By peer and work; where sessions stay together nothing is gained by length, and one row at a time is never padded."""
FASTEST = "fastest"
NAMES = {"trl": "TRL", "llamafactory": "LLaMA-Factory", "unshared": "unshared"}
