"""How the tokenizer of a GGUF splits text before its merges apply: the file names a rule, llama.cpp holds its meaning.

transformers knows some of these names, and splits as GPT-2 does for all others, without a word. Here a name is known,
or the file is refused: tokens that the model was never trained on would be trained and served.
"""

from typing import Any

from tokenizers import pre_tokenizers
from transformers.integrations.gguf import gguf_tokenizer_mapping

from tunelab.errors import ModelError

_AS_GPT2 = ("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "roberta-bpe", "gigachat")
_AS_GPT2_DIGIT_BY_DIGIT = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")


def split_as_stated(tokenizer: Any, *, model: str, rule: str | None, where: str) -> None:
    """Let a tokenizer that transformers made of a GGUF split text by the rule that the file states.

    Args:
        tokenizer: of transformers, changed in place.
        model: ``tokenizer.ggml.model``; only ``gpt2``, byte-level BPE, has such rules.
        rule: ``tokenizer.ggml.pre``.
        where: the file.

    Raises:
        ModelError: the rule is unknown, or none is stated.
    """
    if model != "gpt2" or rule in gguf_tokenizer_mapping.GGUF_PRE_TOKENIZER_SPLITS:
        return
    if rule not in (*_AS_GPT2, *_AS_GPT2_DIGIT_BY_DIGIT):
        stated = f'by the rule "{rule}", which is not known here' if rule else "and does not state by which rule"
        remedy = "Take the folder that it was made from, or convert that folder again with a newer llama.cpp."
        raise ModelError(f"the tokenizer of this GGUF splits text {stated}", where=where, remedy=remedy)
    digits = [pre_tokenizers.Digits(individual_digits=True)] if rule in _AS_GPT2_DIGIT_BY_DIGIT else []
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, words])
