"""Base weights packed into 4 or 8 bits by bitsandbytes while they are loaded."""

import logging

import torch
from transformers import BitsAndBytesConfig

from tunelab.models.config import Quantization


def quantized_by(quantization: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return how bitsandbytes packs the linear layers of a base that computes in `dtype`; embeddings and head stay."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # int8 says of every layer that it casts what comes in
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,  # the scales, too
    )


def num_packed(weight: torch.nn.Parameter) -> int:
    """Return how many weights a parameter stands for: in NF4, a byte holds two."""
    return weight.numel() * (2 if weight.dtype == torch.uint8 else 1)
