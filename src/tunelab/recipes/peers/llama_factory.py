"""LLaMA-Factory's recipes: one flat YAML file, its data sets described in `dataset_info.json`."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers import trainer_keys as trainer
from tunelab.recipes.peers.dataset_info import read_data_sets
from tunelab.recipes.peers.key import (
    LEFT,
    ON,
    Key,
    NoTwinError,
    differs,
    joined,
    noted,
    read,
    refused,
    refused_unless,
    words,
)
from tunelab.recipes.peers.reading import Reading
from tunelab.recipes.peers.values import names, reversed_switch, share, switched

NAME = "LLaMA-Factory"
PAGE = "llama-factory"
SIGNS = words(
    "stage finetuning_type cutoff_len lora_rank lora_target dataset_dir template val_size quantization_bit "
    "mask_history train_on_prompt neat_packing"
)

_MODEL = "the model and its tokenizer stay as they are"


def _quantization(value: object) -> str:
    if value not in (4, 8, "4", "8"):
        raise NoTwinError("a base is packed in 4 bits (nf4) or in 8 (int8)")
    return "nf4" if str(value) == "4" else "int8"


KEYS: tuple[Key, ...] = (
    read("model_name_or_path", "model.base_model"),
    read("model_revision", "model.revision", lambda value: LEFT if value == "main" else value),
    read("quantization_bit", "qlora.quantization", _quantization, "4 is nf4, 8 is int8, in the section qlora"),
    *refused("4 bits are those of nf4", "quantization_type", "qlora.quantization", off=("nf4",)),
    *refused("a base is packed by bitsandbytes", "quantization_method", "qlora.quantization",
             off=("bnb", "bitsandbytes")),
    *differs("the scales of nf4 are packed, too", "double_quantization", "qlora.quantization", done=ON),
    *refused("training is supervised fine-tuning", "stage", off=("sft",)),
    joined("finetuning_type", "lora", "lora is the section lora, full the section full"),
    read("lora_rank", "lora.r"),
    joined("lora_alpha", "lora.lora_alpha", "twice lora_rank if it is not set"),
    read("lora_dropout", "lora.lora_dropout"),
    read("lora_target", "lora.target_modules", names, "all is all-linear"),
    read("additional_target", "lora.modules_to_save", names),
    read("loraplus_lr_ratio", "lora.loraplus_lr_ratio"),
    read("use_rslora", "lora.use_rslora", switched),
    read("use_dora", "lora.use_dora", switched),
    read("pissa_init", "lora.init_lora_weights", lambda value: "pissa" if switched(value) else LEFT, "true is pissa"),
    *noted("the singular values are computed whole", "pissa_iter", "lora.init_lora_weights"),
    *noted("an adapter is saved as one that fits the base as it is", "pissa_convert"),
    *noted("embeddings have the one learning rate", "loraplus_lr_embedding"),
    joined("dataset", "data.train_files", "names in dataset_info.json, with their columns and tags"),
    joined("eval_dataset", "data.eval_files", "names in dataset_info.json"),
    joined("dataset_dir", "data.data_dir"),
    joined("max_samples", "data.train_samples", "times the number of data sets: it counts the rows of each"),
    read("val_size", "data.eval_fraction", share, "a share; a number of rows has no twin"),
    read("cutoff_len", "data.max_length"),
    *differs("rows are rendered by the model's own chat template", "template", "data.chat_template"),
    read("packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    read("neat_packing", "batching.varied_seqlen", reversed_switch, "the reverse: true is varied_seqlen false"),
    read("disable_gradient_checkpointing", "training.gradient_checkpointing", reversed_switch, "the reverse"),
    read("early_stopping_steps", "training.early_stopping_patience"),
    *refused("loss falls on answers only", "train_on_prompt"),
    *refused("every answer of a conversation is trained; mark those that are not in the rows (weight: 0)",
             "mask_history"),
    *refused("training begins with a new adapter", "adapter_name_or_path"),
    *refused("a system prompt here replaces those of the rows", "default_system", "data.system_prompt"),
    *refused("the adapter's weights are kept in float32", "pure_bf16", "training.bf16"),
    *refused(_MODEL, "rope_scaling shift_attn resize_vocab add_tokens add_special_tokens new_special_tokens_config "
             "mixture_of_depths moe_aux_loss_coef use_llama_pro"),
    *refused("the optimizer is AdamW", "use_galore use_apollo use_badam use_adam_mini use_muon"),
    *refused("the loss is the mean over trained tokens", "use_dft_loss use_asft_loss use_eaft_loss"),
    *refused("the tools of a row are written by the model's own chat template", "tool_format"),
    *refused("files are read one after the other", "interleave_probs"),
    *refused("files are read one after the other", "mix_strategy", off=("concat",)),
    *refused("images, video and sound are not read", "image_max_pixels video_max_pixels"),
    *refused_unless("answers are rendered as the chat template does by itself", "enable_thinking",
                    "data.chat_template_kwargs", done=ON),
    *noted("belongs to a feature that is off", "galore_* apollo_* badam_* freeze_* oft_* pref_* kto_* ppo_* ref_model* "
           "reward_model* dpo_* simpo_* ld_alpha compute_accuracy "
           "print_param_status mask_history_*"),
    *noted("rows are rendered anew if data, tokenizer or template changed",
           "overwrite_cache preprocessing_num_workers preprocessing_batch_size tokenized_path buffer_size streaming "
           "cache_dir media_dir data_shared_file_system"),
    *noted("each run writes loss.png", "plot_loss"),
    *noted("no token is padded", "ignore_pad_token_for_loss"),
    *noted("control tokens that a text spells are text", "split_special_tokens"),
    *noted("changes speed or memory alone", "flash_attn enable_liger_kernel use_unsloth use_unsloth_gc upcast_* "
           "low_cpu_mem_usage offload_folder use_kv_cache infer_dtype infer_backend use_fast_tokenizer "
           "include_mfu"),
    *noted("held-out rows are answered by tunelab compare", "predict_with_generate eval_num_beams "
           "eval_on_each_dataset"),
    *noted("other trackers are not available yet", "use_swanlab swanlab_* ray_*"),
    *noted("an adapter is saved under a new name", "create_new_adapter"),
    *trainer.KEYS,
)  # fmt: skip

DEFAULTS: dict[str, Any] = trainer.DEFAULTS | {
    "training.learning_rate": 5e-5,
    "lora.r": 8,
    "lora.lora_alpha": 16,
    "data.max_length": 2048,
    "training.save_steps": 500,
}


def finish(reading: Reading) -> None:
    """Set what several keys decide together."""
    trainer.refuse_no_training(reading)
    _choose_method(reading)
    if "lora_alpha" in reading.entries and reading.value("lora_alpha") is not None:
        reading.set("lora.lora_alpha", reading.value("lora_alpha"), "lora_alpha")
    elif isinstance(rank := reading.value("lora_rank"), int):
        reading.set("lora.lora_alpha", 2 * rank, "lora_rank")
    trainer.read_schedule(reading)
    read_data_sets(reading)
    is_split = bool(reading.value("val_size")) or reading.value("eval_dataset") is not None
    trainer.read_held_out(reading, is_split=is_split)


def _choose_method(reading: Reading) -> None:
    method = reading.value("finetuning_type", "lora")
    if method not in ("lora", "full"):
        why = "adapters are LoRA, or all weights are trained (full)"
        reading.refuse("finetuning_type", why, "lora")
        return
    reading.method = method
    reading.obey("finetuning_type")
    if reading.value("quantization_bit") is not None:
        if method == "full":
            reading.refuse("quantization_bit", "a packed base cannot be trained whole", "qlora.quantization")
        reading.method = "qlora"
