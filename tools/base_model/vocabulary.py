"""The tokenizer of the embedded model: byte-level BPE with single digits, and a chat template with tools.

It imports neither torch nor transformers; `AutoTokenizer.from_pretrained` reads the folder it writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

PAD = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
_TOOL_MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

# Rotary positions have no weights, so long sessions may be tried on nano; it was trained on rows of 512 tokens.
MAX_LENGTH = 32_768
CHAT_TEMPLATE_FILE = Path(__file__).parent / "chat_template.jinja"

# One digit per token, so that a number is copied digit by digit; an identifier such as EMAIL_ADDRESS may be one token.
_WORDS = r"\p{N}| ?[\p{L}_]+| ?[^\s\p{L}\p{N}_]+|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer of `vocab_size` tokens, its seven special tokens first."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [AddedToken(mark, special=True, normalized=False) for mark in (PAD, TURN_START, TURN_END)]
    marks = [AddedToken(mark, special=False, normalized=False) for mark in _TOOL_MARKS]
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*specials, *marks],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # The trainer marks all it was given as special; tool marks must survive decoding, so they are made plain again.
    plain = json.loads(tokenizer.to_str())
    for token in plain["added_tokens"]:
        token["special"] = token["content"] not in _TOOL_MARKS
    return Tokenizer.from_str(json.dumps(plain))


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": TURN_END,
        "pad_token": PAD,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_LENGTH,
        "padding_side": "right",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE_FILE.read_text(encoding="utf-8"), encoding="utf-8")


def chat_renderer() -> Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]] | None], str]:
    """Return a function of (messages, tools) that gives a chat's text as `apply_chat_template` would."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(CHAT_TEMPLATE_FILE.read_text(encoding="utf-8"))

    def render(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
        return template.render(messages=messages, tools=tools, add_generation_prompt=False)

    return render
