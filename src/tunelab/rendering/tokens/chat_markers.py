"""Control tokens and markers of well-known chat formats: how a text that was rendered already is recognised."""

import re

TURN_TOKENS = (
    "<|im_start|>",  # ChatML: Qwen, SmolLM2, Yi and many others
    "<|start_header_id|>",  # Llama 3
    "<|header_start|>",  # Llama 4
    "<start_of_turn>",  # Gemma
    "<|turn>",  # Gemma 4
    "[INST]",  # Llama 2, Mistral
    "<<SYS>>",
    "<|user|>",  # Phi 3, GLM, Zephyr
    "<|system|>",
    "<|assistant|>",
    "<｜User｜>",  # DeepSeek
    "<|START_OF_TURN_TOKEN|>",  # Cohere
    "<|start|>",  # gpt-oss
)
"""Each opens a turn."""
END_TOKENS = (
    "<|im_end|>",
    "</s>",
    "<|eot_id|>",
    "<|eot|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "<|end|>",
    "<|return|>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
    "<|end_of_turn|>",
)
"""Each ends a turn or a text."""
_TEXT_STARTS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>", "<BOS_TOKEN>")
# Markers in plain words count only if those of the answer follow: a heading alone is no chat.
_IN_WORDS = (
    (r"### (?:Instruction|Human):", r"### (?:Response|Assistant):"),  # Alpaca; Guanaco, mostly without a line break
    (r"USER:", r"\sASSISTANT:"),  # Vicuna
)


def any_of(tokens: tuple[str, ...]) -> str:
    """Return a regular expression for any of some tokens, the longest first."""
    return "|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)"


_OPENING = re.compile(rf"\s*(?:(?:{any_of(_TEXT_STARTS)})\s*)?({any_of(TURN_TOKENS)})")
_CHATS = [(re.compile(rf"(?:^|\s)({first})"), re.compile(second)) for first, second in _IN_WORDS]
WRITTEN = re.compile(any_of((*_TEXT_STARTS, *TURN_TOKENS, "[/INST]", *END_TOKENS)))
"""A token of a well-known format, wherever it is."""


def opening_marker(text: str) -> str:
    """Return the token or marker with which a text opens as a rendered conversation does; empty if it does not."""
    if match := _OPENING.match(text):
        return match[1]
    if "### " in text or "USER:" in text:
        for first, second in _CHATS:
            if (match := first.search(text)) and second.search(text, match.end()):
                return match[1]
    return ""
