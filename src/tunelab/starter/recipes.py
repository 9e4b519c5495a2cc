"""The recipes of the four sample tasks, as the YAML that is written beside their data."""

from __future__ import annotations


def _recipe(data: str, *, learning_rate: str, batch: int, warmup_steps: int, every_steps: int, max_new: int) -> str:
    return f"""model:
  base_model: nano  # the embedded model; nothing is downloaded
data:
{data}lora:
  r: 16
  lora_alpha: 32
  lora_dropout: 0.0
  target_modules: all-linear
training:
  learning_rate: {learning_rate}  # high, as fits a model of four million weights
  per_device_train_batch_size: {batch}
  num_train_epochs: 1
  lr_scheduler_type: cosine_with_warmup
  num_warmup_steps: {warmup_steps}
  eval_steps: {every_steps}
  save_steps: {every_steps}
  seed: 42
evaluation:
  num_examples: 100
  max_new_tokens: {max_new}
"""


TAXONOMY_RECIPE = _recipe(
    """  train_files: [train.jsonl]
  eval_files: [test.jsonl]
  max_length: 128
""",
    learning_rate="4.0e-3", batch=32, warmup_steps=10, every_steps=50, max_new=40,
) + """checks:
  ignore:
    personal_data: every address is made up
"""  # fmt: skip

PRODUCT_DESCRIPTION_RECIPE = _recipe(
    """  train_files: [train.csv]
  eval_files: [test.csv]
  prompt_template: "Descreva o produto com o seguinte título: {title}\\n\\nDescrição:"
  completion_template: "{content}"
  max_length: 192
""",
    learning_rate="4.0e-3", batch=32, warmup_steps=10, every_steps=25, max_new=96,
)  # fmt: skip

SIMPLE_SUPPORT_RECIPE = _recipe(
    """  train_files: [train.json]
  eval_files: [test.json]
  system_prompt: You explain in very simple words.  # put before every conversation; the rows have none
  max_length: 192
""",
    learning_rate="4.0e-3", batch=32, warmup_steps=10, every_steps=25, max_new=80,
)  # fmt: skip

AGENT_SESSIONS_RECIPE = _recipe(
    """  train_files: [train.jsonl]  # one line per model call
  eval_files: [test.jsonl]
  tool_catalog: tool_catalogue.json
  inject_tool_catalog: true
  max_length: 640
""",
    learning_rate="4.0e-3", batch=32, warmup_steps=5, every_steps=15, max_new=64,
)  # fmt: skip
