"""A whole base model on disk, small enough that tests of several rooms train it in a second."""

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rendering.small_models import CHATML, byte_level, save_model


def save_tiny_model(folder: Path, *, template: str = CHATML) -> Path:
    """Write a random Llama-type model of a few thousand weights, with tokenizer and chat template."""
    tokenizer = byte_level()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        bos_token_id=None,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return save_model(folder, tokenizer, template)
