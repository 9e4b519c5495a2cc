"""Names that people write from memory, which are those of no tool whose recipes are read."""

from __future__ import annotations

from tunelab.recipes.peers.key import noted, read

_STEPS = "training.gradient_accumulation_steps"

SHORT_NAMES = (
    read("lr", "training.learning_rate"),
    read("rank", "lora.r"),
    read("alpha", "lora.lora_alpha"),
    read("dropout", "lora.lora_dropout"),
    read("targets", "lora.target_modules"),
    read("epochs", "training.num_train_epochs"),
    read("batch_size", "training.per_device_train_batch_size"),
    read("grad_accumulation", _STEPS),
    read("gradient_accumulation", _STEPS),
    read("scheduler", "training.lr_scheduler_type"),
    read("warmup", "training.num_warmup_steps"),
    read("patience", "training.early_stopping_patience"),
    read("max_len", "data.max_length"),
    read("max_tokens", "data.max_length"),
    read("seq_len", "data.max_length"),
    read("train_file", "data.train_files"),
    read("eval_file", "data.eval_files"),
    *noted("name the section qlora instead of lora: it loads the base in 4 bits", "load_in_4bit", "qlora.quantization"),
    *noted("name the section qlora instead of lora, with quantization: int8", "load_in_8bit", "qlora.quantization"),
    *noted("there is no such switch: code that comes with a model is never run", "trust_remote_code"),
    *noted("compilation is not available yet", "torch_compile"),
    *noted("there is one task: causal language modelling", "task_type"),
)
