"""A fine-tuning job of OpenAI: the JSON that makes one, or that its API returns of one."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers.data_names import local_name
from tunelab.recipes.peers.key import LEFT, Key, joined, noted, read, refused, words
from tunelab.recipes.peers.reading import Reading

NAME = "OpenAI"
PAGE = "openai"
SIGNS = words("training_file validation_file hyperparameters.n_epochs")


def _number(value: Any) -> Any:
    return LEFT if value == "auto" else value


_HOMES = ("hyperparameters", "method.supervised.hyperparameters")

KEYS: tuple[Key, ...] = (
    joined("model", "model.base_model", "a model of OpenAI's own is not public: name one that you have"),
    joined("training_file", "data.train_files", "a file; an id (file-…) has to be downloaded first"),
    joined("validation_file", "data.eval_files", "a file; an id (file-…) has to be downloaded first"),
    *(
        key
        for home in _HOMES
        for key in (
            read(f"{home}.n_epochs", "training.num_train_epochs", _number, "auto is the default here"),
            read(f"{home}.batch_size", "training.per_device_train_batch_size", _number, "auto is the default here"),
            *refused("it multiplies a rate that OpenAI does not publish", f"{home}.learning_rate_multiplier",
                     "training.learning_rate", off=("auto", 1, 1.0)),
        )
    ),
    *refused("training is supervised fine-tuning", "method.type", off=("supervised",)),
    *refused("training is supervised fine-tuning", "method.dpo method.reinforcement"),
    read("seed", "training.seed"),
    *noted("nothing is uploaded, and a run has a name of its own", "suffix integrations metadata"),
    *noted("a report of the job", "object id created_at finished_at fine_tuned_model organization_id result_files "
           "status trained_tokens error estimated_finish user_provided_suffix usage_metrics shared_with_openai "
           "eval_id"),
)  # fmt: skip

DEFAULTS: dict[str, Any] = {"data.eval_fraction": 0.0}


def finish(reading: Reading) -> None:
    """Set the model and the files, which are on OpenAI's side if they are named by ids."""
    if model := reading.value("model"):
        reading.set("model.base_model", model, "model")
        if str(model).startswith(("gpt-", "o1", "o3", "o4", "ft:", "babbage", "davinci")):
            text = f"{model} is not public. Name a model you have: --set model.base_model=nano"
            reading.note(text, about="model.base_model")
    for key, setting in (("training_file", "data.train_files"), ("validation_file", "data.eval_files")):
        name = reading.value(key)
        if name and str(name).startswith("file-"):
            reading.refuse(key, "this file is at OpenAI: download it, and write its name", setting)
        elif name:
            reading.set(setting, [local_name(str(name), reading.folder)], key)
    if not reading.value("validation_file"):
        reading.set("training.eval_strategy", "no")
        reading.note(
            "There is no validation_file: nothing is held out, and no held-out loss is measured.",
            about="data.eval_files",
        )
    else:
        reading.layer.pop("data.eval_fraction")
