"""Small tokenizers and model folders, made on the spot."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Origin

WORDS = [
    "Hello, how are you today? The weather is fine and the train leaves at nine.",
    "system user assistant tool answer question price order id name arguments",
    'def add(a, b):\n    return a + b\n\n{"name": "x", "arguments": {"a": 1}}',
    "Olá, você está bem? O preço do produto é 10 reais. ação coração",
]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_level(specials: Sequence[str] = CHATML_SPECIALS, added: Sequence[str | AddedToken] = ()) -> Tokenizer:
    """A byte-level BPE, as of GPT-2, Llama 3 and Qwen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(WORDS * 20, trainer)
    tokenizer.add_tokens(list(added))
    return tokenizer


def sentence_piece(specials: Sequence[str] = ("<s>", "</s>"), *, scheme: str = "first") -> Tokenizer:
    """A BPE over words with a mark for the space in front and bytes for the rest, as of Llama 2, Mistral and Phi-3.

    `scheme` is that of the space put in front: at the start of a text (first), of each piece (always), or, as older
    files have it, by the normalizer (prepend).
    """
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if scheme == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", *bytes_], show_progress=False)
    tokenizer.train_from_iterator(
        [part for text in WORDS * 20 for word in text.split() for part in (word, f" {word}")], trainer
    )
    document = json.loads(tokenizer.to_str())  # bytes are pieces of the vocabulary, not added tokens
    document["added_tokens"] = [token for token in document["added_tokens"] if token["content"] == "<unk>"]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in specials])
    return tokenizer


def save_model(
    folder: Path,
    tokenizer: Tokenizer,
    template: str | None = CHATML,
    *,
    bos: str | None = None,
    eos: str | None = "<|im_end|>",
    **settings: object,
) -> Path:
    """Write what a renderer reads of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    specials = {"bos_token": bos, "eos_token": eos}
    (folder / "tokenizer_config.json").write_text(json.dumps(specials | settings))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def renderer_of(
    folder: Path, tokenizer: Tokenizer | None = None, template: str | None = CHATML, **settings: object
) -> Renderer:
    """A renderer of a model saved in `folder`; `config` among the settings is the rendering config."""
    config = settings.pop("config", None) or RenderingConfig()
    save_model(folder, tokenizer or byte_level(), template, **settings)  # type: ignore[arg-type]
    return load_renderer(folder, config, base=folder)  # type: ignore[arg-type]


def conversation(*messages: Message, line: int = 1, **fields: object) -> Conversation:
    """Messages as if read from a file."""
    return Conversation(messages=messages, origin=Origin(path="train.jsonl", line=line), **fields)  # type: ignore[arg-type]


def system(text: str) -> Message:
    """A system message."""
    return Message(role="system", content=text)


def user(text: str) -> Message:
    """What a user says."""
    return Message(role="user", content=text)


def assistant(text: str | None = None, *calls: ToolCall, reasoning: str | None = None) -> Message:
    """What the model is to write."""
    return Message(role="assistant", content=text, tool_calls=calls, reasoning=reasoning)
