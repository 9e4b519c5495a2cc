"""The chat templates that trl carries, each with a tokenizer as its models have it, made on the spot.

A tokenizer is of the family's kind and holds its control tokens, with their flags; the vocabulary is a small one.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from small_models import WORDS, sentence_piece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer

TRL = find_spec("trl")
_FOLDER = Path(str(TRL.origin)).parent / "chat_templates" if TRL else Path()
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.jinja"))}
NAMES = [name for name in SOURCES if not name.endswith("_training")]

# Strings that look like control tokens in a template; those of a family are its tokenizer's.
_CONTROL = re.compile(
    r'<\|/?[A-Za-z0-9_"]+\|?>|<[a-z_]+\|>|<｜[^｜\s]+｜>|<(?:start|end)_of_(?:turn|utterance|image)>|<image>'
    r"|\[gMASK\]|<sop>"
)
_SPLIT = (  # as Llama 3 and Qwen cut a text before it is encoded
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_NUMBERS = {"llama": r"\p{N}{1,3}", "qwen": r"\p{N}"}


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the models of a template bring along beside it."""

    kind: str = "llama"
    """Of the tokenizer: `llama`, `qwen` or `gpt2` over bytes; `gemma` or `mistral` over pieces with a space mark."""
    bos: str | None = None
    adds_bos: bool = False
    """Whether the tokenizer puts it in front of plain text."""
    eos: str
    stops: tuple[str, ...] = ()
    """More tokens that end an answer, as its `generation_config.json` lists them."""
    words: tuple[str, ...] = ()
    """Added tokens that are not special."""
    swallows: bool = False
    """Whether its control tokens take the white space behind them, as Phi-3's do."""
    sees: str = ""
    """What stands for an image in a text; empty for models that read text alone."""


_THINK = ("<think>", "</think>")
_CALLS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_COHERE = Family(kind="gpt2", bos="<BOS_TOKEN>", adds_bos=True, eos="<|END_OF_TURN_TOKEN|>")
_DEEPSEEK = Family(bos="<｜begin▁of▁sentence｜>", adds_bos=True, eos="<｜end▁of▁sentence｜>", words=_THINK)
_GEMMA = Family(kind="gemma", bos="<bos>", adds_bos=True, eos="<eos>", stops=("<end_of_turn>",), words=("\n\n",))
_GEMMA4 = Family(
    kind="gemma", bos="<bos>", adds_bos=True, eos="<eos>", stops=("<turn|>",), words=("\n\n",), sees="<|image|>"
)
_LFM = Family(bos="<|startoftext|>", adds_bos=True, eos="<|im_end|>", words=_THINK)
_LLAMA = Family(bos="<|begin_of_text|>", adds_bos=True, eos="<|eot_id|>", stops=("<|end_of_text|>", "<|eom_id|>"))
_NEMOTRON = Family(bos="<s>", eos="<|im_end|>", stops=("</s>",), words=(*_THINK, *_CALLS))
_PHI = Family(kind="mistral", bos="<s>", eos="<|endoftext|>", stops=("<|end|>", "<|assistant|>"), swallows=True)
_QWEN = Family(kind="qwen", eos="<|im_end|>", stops=("<|endoftext|>",), words=(*_THINK, *_CALLS))
_QWEN_VL = replace(_QWEN, sees="<|vision_start|><|image_pad|><|vision_end|>")

FAMILIES = {
    "cohere": _COHERE,
    "cohere2": _COHERE,
    "deepseek_r1_distill": _DEEPSEEK,
    "deepseekv3": _DEEPSEEK,
    "diffusion_gemma": _GEMMA4,
    "gemma": _GEMMA,
    "gemma3": replace(_GEMMA, sees="<start_of_image>"),
    **{name: _GEMMA4 for name in NAMES if name.startswith("gemma4")},
    "glm4moe": Family(eos="<|endoftext|>", stops=("<|user|>", "<|observation|>"), words=(*_THINK, *_CALLS)),
    "gptoss": Family(bos="<|startoftext|>", eos="<|return|>", stops=("<|endoftext|>", "<|call|>")),
    "idefics3": Family(bos="<|begin_of_text|>", adds_bos=True, eos="<end_of_utterance>", sees="<image>"),
    "lfm2": _LFM,
    "lfm2_2_5": _LFM,
    "lfm2_2_5_v2": _LFM,
    "lfm2_2_5_vl": replace(_LFM, sees="<image>"),
    "lfm2_v2": _LFM,
    "llama3": _LLAMA,
    "llama3_1": _LLAMA,
    "llama3_2": _LLAMA,
    "llava_next": Family(kind="mistral", bos="<s>", adds_bos=True, eos="</s>", sees="<image>"),
    "muse_glimmer": Family(bos="<|begin_of_text|>", adds_bos=True, eos="<|eot|>", stops=("<|eom|>",), sees="<|patch|>"),
    **{name: _NEMOTRON for name in NAMES if name.startswith("nemotron")},
    "phi3": _PHI,
    "phi3_5": _PHI,
    "qwen2_5": _QWEN,
    "qwen2_5_vl": _QWEN_VL,
    "qwen3": _QWEN,
    "qwen3_5_nothink": _QWEN_VL,
    "qwen3_5_think": _QWEN_VL,
    "qwen3_6": _QWEN_VL,
    "qwen3_8": _QWEN_VL,
    "qwen3_instruct_2507": _QWEN,
    "qwen3_vl": _QWEN_VL,
    "smolvlm": Family(kind="gpt2", bos="<|im_start|>", eos="<end_of_utterance>", sees="<image>"),
}


def tokenizer_of(name: str) -> Tokenizer:
    """Return a tokenizer of a family: its kind, its control tokens, a small vocabulary."""
    family = FAMILIES[name]
    tokenizer = Tokenizer.from_str(_trained(family.kind))
    special = dict.fromkeys([*_CONTROL.findall(SOURCES[name]), *filter(None, [family.bos, family.eos]), *family.stops])
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True, rstrip=family.swallows) for text in special]
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in family.words if text not in special])
    if family.adds_bos and family.bos:
        ids = [(family.bos, tokenizer.token_to_id(family.bos))]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", pair=f"{family.bos} $A $B", special_tokens=ids
        )
    return tokenizer


@cache
def _trained(kind: str) -> str:
    """Return a vocabulary of a kind, as JSON: trained once, the families' tokens come on top."""
    if kind in ("gemma", "mistral"):
        return str(sentence_piece((), scheme="never" if kind == "gemma" else "prepend").to_str())
    tokenizer = Tokenizer(models.BPE())
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
    if kind != "gpt2":
        cut = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_SPLIT % _NUMBERS[kind]), "isolated"), cut])
    tokenizer.pre_tokenizer = cut
    tokenizer.normalizer = normalizers.NFC() if kind == "qwen" else None
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*WORDS, "a line.\n\nanother\n\n\nthird:\n  - so"] * 20, trainer)
    return str(tokenizer.to_str())


def save_family(name: str, folder: Path) -> Path:
    """Write what a renderer reads of a family's model."""
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(name)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": family.bos, "eos_token": family.eos}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(SOURCES[name], encoding="utf-8")
    stops = [tokenizer.token_to_id(text) for text in (family.eos, *family.stops)]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": stops}), encoding="utf-8")
    return folder


def renderer_of_family(name: str, folder: Path, config: RenderingConfig | None = None) -> Renderer:
    """Return the renderer of a family's model, which is written into `folder`."""
    return load_renderer(save_family(name, folder), config or RenderingConfig(), base=folder)


def oracle_of(name: str, folder: Path) -> Any:
    """Return transformers' tokenizer of the model in `folder`."""
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    specials = {"bos_token": family.bos, "eos_token": family.eos}
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        chat_template=SOURCES[name],
        **{key: text for key, text in specials.items() if text},
    )
