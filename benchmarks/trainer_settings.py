"""The settings of both peers, whose trainers are transformers' own; imports nothing, for either environment."""

from typing import Any


def trainer_settings(job: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of transformers' Trainer that a job comes to."""
    return {
        "output_dir": job["run"],
        "use_cpu": job["device"] == "cpu",
        "bf16": job["precision"] == "bf16",
        "per_device_train_batch_size": job["rows"],
        "max_steps": job["steps"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "linear",
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": job["seed"],
        "logging_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
