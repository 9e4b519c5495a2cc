"""GGUF files of a few kilobytes, written as llama.cpp's converter writes them."""

import json
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from rendering.small_models import CHATML, byte_level

TOKENIZER = byte_level()
_SIZES = {
    "vocab_size": TOKENIZER.get_vocab_size(),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def network_of(architecture: str, *, is_tied: bool = False) -> PreTrainedModel:
    """Return the random network that `write_gguf` writes."""
    torch.manual_seed(0)
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=is_tied)).eval()
    return Qwen3ForCausalLM(Qwen3Config(**_SIZES, head_dim=16, tie_word_embeddings=is_tied)).eval()


def write_gguf(
    file: Path,
    *,
    architecture: str = "llama",
    stored: str = "F32",
    is_tied: bool = False,
    without: str = "",
    values: Mapping[str, object] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a GGUF of a tiny network, with tokenizer and template; return its path.

    Args:
        stored: how matrices are stored: F32, F16, Q8_0.
        without: keys that begin so are left out.
        values: further keys, or other ones.
        tensors: further tensors.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, architecture)
    for key, value in (_metadata(architecture) | dict(values or {})).items():
        if without and key.startswith(without):
            continue
        _add(writer, key, value)
    for name, weight in network_of(architecture, is_tied=is_tied).state_dict().items():
        if name == "lm_head.weight" and is_tied:
            continue
        _add_tensor(writer, _gguf_name(name), _as_stored(name, weight.numpy(), architecture), stored)
    for name, array in (tensors or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _metadata(architecture: str) -> dict[str, object]:
    vocabulary = sorted(TOKENIZER.get_vocab(), key=TOKENIZER.token_to_id)
    special = {token.content for token in TOKENIZER.get_added_tokens_decoder().values()}
    return {
        f"{architecture}.context_length": 512,
        f"{architecture}.block_count": 2,
        f"{architecture}.embedding_length": 64,
        f"{architecture}.feed_forward_length": 96,
        f"{architecture}.attention.head_count": 4,
        f"{architecture}.attention.head_count_kv": 2,
        f"{architecture}.attention.key_length": 16,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{architecture}.rope.freq_base": 10000.0,
        f"{architecture}.rope.dimension_count": 16,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": vocabulary,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in vocabulary],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in json.loads(TOKENIZER.to_str())["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": TOKENIZER.token_to_id("<|im_end|>"),
        "tokenizer.chat_template": CHATML,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_array(key, value)


def _add_tensor(writer: gguf.GGUFWriter, name: str, array: np.ndarray, stored: str) -> None:
    kind = gguf.GGMLQuantizationType[stored if array.ndim == 2 else "F32"]
    if stored in ("F32", "F16"):
        writer.add_tensor(name, array.astype(np.float16 if kind.name == "F16" else np.float32))
    else:
        writer.add_tensor(name, gguf.quantize(array, kind) if array.ndim == 2 else array, raw_dtype=kind)


def _gguf_name(name: str) -> str:
    module, _, part = name.rpartition(".")
    if module in _NAMES:
        return f"{_NAMES[module]}.{part}"
    _, _, number, inner = module.split(".", 3)
    return f"blk.{number}.{_NAMES[inner]}.{part}"


def _as_stored(name: str, array: np.ndarray, architecture: str) -> np.ndarray:
    """Return a weight in the order of llama.cpp, which pairs the halves of each head that rotate together."""
    heads = {"q_proj.weight": 4, "k_proj.weight": 2}.get(".".join(name.split(".")[-2:]))
    if architecture != "llama" or heads is None:
        return array
    return array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
