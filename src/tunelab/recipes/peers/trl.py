"""TRL's recipes: SFTConfig, ModelConfig and ScriptArguments in one flat YAML file."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers import trainer_keys as trainer
from tunelab.recipes.peers.data_names import local_name, rows_at
from tunelab.recipes.peers.key import LEFT, Key, joined, noted, read, refused, words
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import as_list, is_on, names, precision, reversed_switch, switched

NAME = "TRL"
PAGE = "unsloth-and-trl"
SIGNS = words(
    "dataset_name dataset_train_split dataset_text_field use_peft completion_only_loss assistant_only_loss "
    "dataset_num_proc packing_strategy model_name_or_path dataset_mixer"
)

_TOKENS = "the model and its tokenizer stay as they are"
_PEFT_TARGETS = ["q_proj", "v_proj"]
"""What PEFT trains in models of today if no target is named."""

KEYS: tuple[Key, ...] = (
    read("model_name_or_path", "model.base_model"),
    read("model_revision", "model.revision", lambda value: LEFT if value == "main" else value),
    read("dtype", "model.torch_dtype", precision),
    read("torch_dtype", "model.torch_dtype", precision),
    joined("use_peft", "lora", "true is the section lora, false full"),
    joined("load_in_4bit", "qlora.quantization", "nf4, in the section qlora"),
    joined("load_in_8bit", "qlora.quantization", "int8, in the section qlora"),
    *refused("4 bits are those of nf4", "bnb_4bit_quant_type", "qlora.quantization", off=("nf4",)),
    joined("use_bnb_nested_quant", "qlora.quantization", "the scales of nf4 are packed, as with true"),
    *noted("the packed base computes in the dtype of the run", "bnb_4bit_*", "training.bf16"),
    read("lora_r", "lora.r"),
    read("lora_alpha", "lora.lora_alpha"),
    read("lora_dropout", "lora.lora_dropout"),
    read("lora_target_modules", "lora.target_modules", names, "q_proj and v_proj if none is named, as PEFT has it"),
    read("lora_modules_to_save", "lora.modules_to_save", names),
    read("use_rslora", "lora.use_rslora", switched),
    read("use_dora", "lora.use_dora", switched),
    *refused("layers that are trained are linear ones", "lora_target_parameters", "lora.target_modules"),
    *refused("the one task is causal language modelling", "lora_task_type", off=("CAUSAL_LM",)),
    joined("dataset_name", "data.train_files", "a local file or folder, or a split on the Hub"),
    joined("dataset_train_split", "data.train_files", "name[split]"),
    joined("dataset_test_split", "data.eval_files", "name[split]"),
    joined("datasets", "data.train_files"),
    *refused("a data set on the Hub is read by its splits", "dataset_config", "data.train_files", off=("default",)),
    *refused("files are read one after the other, whole", "dataset_mixer dataset_splits dataset_mixture",
             "data.train_files"),
    read("dataset_text_field", "data.field_map", lambda value: LEFT if value == "text" else {"text": value}),
    read("max_length", "data.max_length"),
    read("max_seq_length", "data.max_length"),
    *refused("the end of a sequence that is too long is cut", "truncation_mode", "data.on_too_long",
             off=("keep_start",)),
    read("packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    *refused("rows are filled with whole sequences", "packing_strategy", "batching.varied_seqlen",
             off=("bfd", "ffd", "bfd_split")),
    read("chat_template_path", "data.chat_template", word="a jinja file"),
    *refused("a template is named by its file", "chat_template", "data.chat_template"),
    joined("completion_only_loss", "", "loss falls on answers only, as with true"),
    joined("assistant_only_loss", "", "loss falls on answers only, as with true"),
    *refused("the loss is the mean of the negative log-likelihood over trained tokens", "loss_type",
             off=("nll", "chunked_nll")),
    *refused(_TOKENS, "eos_token model_init_kwargs router_aux_loss_coef"),
    *refused("rows are read as they are", "dataset_kwargs formatting_func"),
    *noted("no token is padded", "pad_token pad_to_multiple_of padding_free eval_packing"),
    *noted("rows are rendered anew if data, tokenizer or template changed",
           "dataset_num_proc preprocessing_num_workers dataset_streaming dataset_batch_size "
           "auto_insert_empty_system_msg num_of_sequences chars_per_token"),
    *noted("rows are shuffled by training.seed", "shuffle_dataset"),
    *noted("the environment is set where the command is called", "env config ignore_bias_buffers"),
    *trainer.KEYS,
)  # fmt: skip

DEFAULTS: dict[str, Any] = trainer.DEFAULTS | {
    "training.learning_rate": 2e-5,
    "training.gradient_checkpointing": True,
    "training.save_steps": 500,
    "data.max_length": 1024,
    "lora.lora_dropout": 0.05,
}


def finish(reading: Reading) -> None:
    """Set what several keys decide together."""
    trainer.refuse_no_training(reading)
    _choose_method(reading)
    trainer.read_schedule(reading)
    for key in ("max_length", "max_seq_length"):
        if key in reading.entries and reading.value(key) is None:
            reading.refuse(key, "sequences of any length cannot be planned for", "data.max_length")
    _read_data(reading)
    said = [reading.entries[key] for key in ("completion_only_loss", "assistant_only_loss") if key in reading.entries]
    reading.obey(*(each.dotted for each in said if is_on(each.value)))
    if off := [each for each in said if each.dotted == "completion_only_loss" and each.value is False]:
        reading.refuse(off[0].dotted, "loss falls on answers only")
    elif not any(is_on(each.value) for each in said):
        text = "Loss falls on answers only; TRL's falls on all of a conversation unless assistant_only_loss is true."
        reading.note(text)


def _choose_method(reading: Reading) -> None:
    packed = next((key for key in ("load_in_4bit", "load_in_8bit") if is_on(reading.value(key, False))), "")
    reading.obey("use_peft")
    if not is_on(reading.value("use_peft", False)):
        reading.method = "full"
        reading.note("Without use_peft: true, all weights of the base model are trained (full).")
        if packed:
            reading.refuse(packed, "a packed base cannot be trained whole; use_peft: true trains an adapter", "qlora")
        return
    if packed:
        reading.method = "qlora"
        reading.set("qlora.quantization", "nf4" if packed == "load_in_4bit" else "int8", packed)
    if packed == "load_in_4bit":
        _say_of_scales(reading)
    if not reading.value("lora_target_modules"):
        reading.set("lora.target_modules", _PEFT_TARGETS)


def _say_of_scales(reading: Reading) -> None:
    if is_on(reading.value("use_bnb_nested_quant")):
        reading.obey("use_bnb_nested_quant")
    else:
        text = "The scales of nf4 are packed, too; TRL packs them only if use_bnb_nested_quant is true."
        reading.note(text, about="qlora.quantization")


def _read_data(reading: Reading) -> None:
    split = str(reading.value("dataset_train_split", "train"))
    keys = [key for key in ("dataset_name", "dataset_train_split") if key in reading.entries]
    if name := reading.value("dataset_name"):
        reading.set("data.train_files", [rows_at(str(name), reading.folder, split=split)], *keys)
    if mixture := reading.value("datasets"):
        reading.set("data.train_files", _mixture(mixture, reading), "datasets")
    measured = reading.value("eval_strategy", reading.value("evaluation_strategy", "no"))
    is_on_hub = bool(name) and rows_at(str(name), reading.folder, split="x").endswith("[x]")
    if measured not in ("no", False) and is_on_hub:
        held_out = rows_at(str(name), reading.folder, split=str(reading.value("dataset_test_split", "test")))
        reading.set("data.eval_files", [held_out], "dataset_name", "dataset_test_split")
    elif measured in ("no", False):
        trainer.read_held_out(reading, is_split=False)
    else:
        text = "TRL measures on a split of the data set; of local files some training rows are held out instead."
        reading.note(text, about="data.eval_fraction")


def _mixture(mixture: Any, reading: Reading) -> list[str]:
    files: list[str] = []
    for each in as_list(mixture):
        if not isinstance(each, dict) or set(each) - {"path", "data_files", "split", "columns"}:
            reading.refuse("datasets", "a data set is named by its path, data_files and split", "data.train_files")
        elif each.get("data_files"):
            files += [local_name(str(file), reading.folder) for file in as_list(each["data_files"])]
        else:
            files.append(rows_at(str(each.get("path", "")), reading.folder, split=str(each.get("split") or "")))
    return files
