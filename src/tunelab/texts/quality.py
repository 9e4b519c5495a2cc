"""Oddities of text that a reader sees at once and a count does not: damage, remains, stock phrases, loops, copies.

The patterns are read alike by Rust, which scans many texts at once, and by Python.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunelab.texts.shingles import shingles

Oddity = Literal["mojibake", "html", "control_characters", "boilerplate", "refusal"]


def contains(texts: Sequence[str], oddity: Oddity) -> NDArray[np.bool_]:
    """Return, for each text, whether it holds an oddity.

    - mojibake: UTF-8 that was read as Windows-1252 or Latin-1 (``cafÃ©``), or characters that were lost on the way.
    - html: tags of layout and character entities, in a text that does not speak of HTML or hold code.
    - control_characters: characters without a shape, other than tab and line end; those that reverse the direction.
    - boilerplate: what a model says of itself (``As an AI language model``), in six languages.
    - refusal: an answer that opens by declining.
    """
    hits_N = pl.Series(texts, dtype=pl.String).str.contains(PATTERNS[oddity]).to_numpy().copy()
    if oddity == "html":
        for index in np.flatnonzero(hits_N):
            hits_N[index] = not speaks_of_markup(texts[int(index)])
    return hits_N


def speaks_of_markup(text: str) -> bool:
    """Tell whether tags are at home in `text`: it names HTML or a relative of it, or holds a block of code."""
    return _MARKUP.search(text) is not None


_MARKUP = re.compile(
    r"html|\bcss\b|javascript|\bxml|\bsvg\b|\bjsx\b|\bphp\b|markdown|\btags?\b|web ?pages?|```", re.IGNORECASE
)


def repetition(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return, for each text, the share of its runs of four words that occurred in it before; 0 below 20 words."""
    runs = shingles(texts, size=_RUN)
    lengths_N, sorted_S = np.diff(runs.bounds_N1), runs.by_text()
    again = sorted_S[1:][sorted_S[1:] == sorted_S[:-1]]
    repeats_N = np.bincount((again >> np.uint64(32)).astype(np.int64), minlength=len(lengths_N))
    return np.where(lengths_N > _RUNS_AT_LEAST, repeats_N / np.maximum(lengths_N, 1), 0.0)


_RUN = 4
_RUNS_AT_LEAST = 16


def copies(answer: str, prompt: str) -> bool:
    """Tell whether an answer is its prompt, or repeats it whole and adds less than half as much.

    White space and case are ignored. Prompts below 30 characters are copied for good reasons.
    """
    words, said = prompt.lower().split(), answer.lower()
    if not words or words[0] not in said:
        return False
    one, other = " ".join(words), " ".join(said.split())
    return len(one) >= _COPIED_CHARS and len(other) < 1.5 * len(one) and one in other


_COPIED_CHARS = 30

# Bytes 80 to BF as the second half of a character, read as Windows-1252 or Latin-1.
_TYPOGRAPHIC = "\u00a0«»‘’“”…–—‹›•°²³·™®"
_REST = "\u0080-\u009f¡-ª¬\u00ad¯±´-¶¸-º¼-¿€‚ƒ„†‡ˆ‰ŠŒŽ˜šœžŸ"
_HALF = f"[{_REST}{_TYPOGRAPHIC}]"
_MOJIBAKE = "|".join(
    (
        f"(?:^|[^A-ZÀ-Þ])Ã{_HALF}",  # Latin letters; where a word in capitals ends in Ã, typography may follow
        f"Ã[{_REST}™®°²³·]",
        "Â[\u0080-\u009f\u00a0-º¼-¿]",
        "â€|â\u0080[\u0080-\u00bf]",
        f"â[\u0081-\u009f‚„†‡ˆ‰Šš›œ˜™žŸŽ]{_HALF}",
        f"[ÄÅ][{_REST}™]",  # Polish, Czech, Turkish
        f"(?:[Â-ß]{_HALF}){{2}}",  # Cyrillic, Greek, Arabic, Hebrew
        f"(?:[à-ï]{_HALF}{_HALF}){{2}}",  # scripts of Asia
        "ðŸ|ð\u009f",
        "ï»¿|\ufffd",
    )
)
_TAGS = "p|br|hr|div|span|strong|em|b|i|u|ul|ol|li|td|tr|th|table|tbody|img|font|h[1-6]|center|blockquote|script|style"
_HTML = rf"(?i)</?(?:{_TAGS})(?:\s*/?>|\s+[a-z-]+=)|<a\s+href=|</a>|" + (
    "&(?:nbsp|amp|lt|gt|quot|apos|#[0-9]{2,5}|#x[0-9a-f]{2,5});"
)
_CONTROL = "[\u0000-\b\v\f\u000e-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
_BOILERPLATE = "(?i)" + "|".join(
    (
        r"\bas an? (?:ai\b|artificial intelligence|(?:large )?language model)",
        r"\bi(?:['’]m| am) (?:just |only )?an? (?:ai (?:language )?(?:model|assistant)|(?:large )?language model)",
        r"\bmy (?:knowledge|training)(?: data)? (?:cut-?off|only goes|ends)",
        "como (?:um |uma )?(?:modelo de linguagem|inteligência artificial)|como (?:un )?modelo de lenguaje",
        "als (?:ein )?(?:ki-|großes )?sprachmodell|en tant que modèle de langage|作为(?:一个)?(?:人工智能|ai)语言模型",
    )
)
_I_CANNOT = "i (?:can(?:not|['’]t)|am (?:not able|unable)|don['’]t have)"
_SERVE = "(?:help|assist|provide|fulfil|comply|support|generate|engage|do that)"
_REFUSAL = (
    r"(?i)\A\s*(?:"
    + "|".join(
        (
            f"(?:i(?:['’]m| am) )?(?:(?:very|so|truly) )?sorry,? (?:but )?(?:as an ai[^.]{{0,40}}, )?{_I_CANNOT}",
            "i(?:['’]m| am) sorry,? but as an ai",
            f"i can(?:not|['’]t) {_SERVE}|i(?:['’]m| am) (?:unable|not able) to {_SERVE}",
            f"i must (?:respectfully )?decline|i won['’]t {_SERVE}",
            "(?:sinto muito|desculpe|lo siento|je suis désolé|es tut mir leid),? (?:mas |pero |mais |aber )?(?:eu )?"
            "(?:não posso|no puedo|je ne peux pas|ich kann)",
        )
    )
    + ")"
)

PATTERNS: dict[Oddity, str] = {
    "mojibake": _MOJIBAKE,
    "html": _HTML,
    "control_characters": _CONTROL,
    "boilerplate": _BOILERPLATE,
    "refusal": _REFUSAL,
}
