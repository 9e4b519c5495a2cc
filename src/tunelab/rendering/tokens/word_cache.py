"""Texts encoded word by word, each word once, where a tokenizer never joins what a blank parts."""

import json
import re
from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer

from tunelab.rendering.rendered import TokenIds

_GAP = re.compile(r" (?<=\S )")
"""A blank after something that is none. The blank is named first, for that is what the engine then searches for."""
WORD_PATTERNS = {  # no match of these goes on from what is no white space to a blank, or looks ahead of one there
    r"\p{N}| ?[\p{L}_]+| ?[^\s\p{L}\p{N}_]+|\s+(?!\S)|\s+",  # the embedded model
    *(  # Qwen 2 to 3, Llama 3
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        + numbers
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        for numbers in ("", "{1,3}")
    ),
}


class Words:
    """Encodes texts that hold no added token.

    Args:
        splits: whether texts may be cut into words, as `splits_words` says.
        most: above so many words, all are forgotten.
    """

    def __init__(self, tokenizer: Tokenizer, *, splits: bool, most: int) -> None:
        self._tokenizer, self.splits, self._most = tokenizer, splits, most
        # As bytes, for a text is joined word by word, not id by id.
        self._firsts: dict[str, bytes] = {}
        self._others: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._firsts) + len(self._others)

    def encode(self, texts: Sequence[str]) -> Iterator[TokenIds]:
        """Yield the ids of each text; what is new in all of them is encoded in one batch."""
        if not self.splits:
            yield from (np.array(ids, dtype=np.int32) for ids in self._encoded(texts))
            return
        if len(self) > self._most:
            self._firsts.clear()
            self._others.clear()
        split = [_GAP.split(text) for text in texts]
        firsts = [words.pop(0) for words in split]
        self._learn(self._firsts, set(firsts), lead="")
        self._learn(self._others, set().union(*split), lead=" ")
        known = self._others.__getitem__
        for first, words in zip(firsts, split, strict=True):
            yield np.frombuffer(self._firsts[first] + b"".join(map(known, words)), np.int32)

    def _learn(self, known: dict[str, bytes], words: set[str], *, lead: str) -> None:
        """Encode what is not known yet, `lead` in front."""
        new = list(words.difference(known))
        for word, ids in zip(new, self._encoded([lead + word for word in new]), strict=True):
            known[word] = array("i", ids).tobytes()

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def splits_words(tokenizer_json: bytes) -> bool:
    """Return whether the ids of a text are those of its words: whether each blank after a word begins a new piece."""
    document = json.loads(tokenizer_json)
    splitter = document.get("pre_tokenizer") or {}
    parts = splitter.get("pretokenizers", [splitter])
    if (document.get("normalizer") or {"type": "NFC"})["type"] != "NFC" or parts[-1].get("type") != "ByteLevel":
        return False
    if parts[-1].get("add_prefix_space", True) or len(parts) > 2:
        return False
    if len(parts) == 1:
        return bool(parts[0].get("use_regex", True))
    split = parts[0]
    return (
        split.get("type") == "Split"
        and split.get("behavior") == "Isolated"
        and split.get("pattern", {}).get("Regex") in WORD_PATTERNS
    )
