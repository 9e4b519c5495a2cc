"""Text to token ids and back: control tokens only where the template wrote them, each stretch of text encoded once.

Added tokens cut a text before anything else happens to it, so the ids of a text are the ids of its units one after
another (a unit is an added token and what follows it, up to the next one). Units are cached: the history that a turn
repeats costs a look-up.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from tunelab.rendering.rendered import TokenIds
from tunelab.rendering.tokens.marked_text import Marked, Unit, agreed
from tunelab.rendering.tokens.word_cache import Words, splits_words

_MARK = "\U0010fffd\U0010fffc"  # private-use: in place of the control token in front of a unit


class ControlTokenError(ValueError):
    """The tokenizer makes a control token out of plain text; the words of the message name it."""


class Tokens:
    """A tokenizer that never takes a message's own words for control tokens.

    Args:
        tokenizer_json: the bytes of `tokenizer.json`.
        template_source: the chat template; bracketed added tokens that it writes count as control tokens.
        cached_tokens: above so many, what was encoded is forgotten.
        cached_words: the same of words that are encoded by themselves.
    """

    def __init__(
        self,
        tokenizer_json: bytes,
        template_source: str,
        *,
        cached_tokens: int = 10_000_000,
        cached_words: int = 250_000,
    ) -> None:
        self._json = tokenizer_json
        self.tokenizer = Tokenizer.from_buffer(tokenizer_json)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self._added = {token.content: (id_, token) for id_, token in self.tokenizer.get_added_tokens_decoder().items()}
        control = [text for text in self._added if self._is_control(text, template_source)]
        self.control = _any_of(control)
        self.id_of: Mapping[str, int] = {text: self._added[text][0] for text in control}
        self._control_ids = frozenset(self.id_of.values())
        self._special_ids = frozenset(id_ for id_, token in self._added.values() if token.special)
        boundaries = [text for text, (_, token) in self._added.items() if not (token.normalized or token.single_word)]
        self._boundary = _any_of(boundaries)
        self._longest_boundary = max(map(len, boundaries), default=0)
        self._units: dict[str, TokenIds] = {}
        whole = all(" " not in text and not token.rstrip for text, (_, token) in self._added.items())
        splits = whole and len(boundaries) == len(self._added) and splits_words(tokenizer_json)
        self._words = Words(self.tokenizer, splits=splits, most=cached_words)
        self._num_cached, self._most_cached = 0, cached_tokens

    @property
    def special_texts(self) -> tuple[str, ...]:
        """The texts of all tokens that the tokenizer flags as special."""
        return tuple(text for text, id_ in self.id_of.items() if self.is_special(id_))

    @property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def is_special(self, token_id: int) -> bool:
        """Whether the tokenizer flags an id as special."""
        return int(token_id) in self._special_ids

    def is_special_text(self, text: str) -> bool:
        """Whether a control token, named by its text, is flagged as special; markup such as `<think>` is not."""
        return self.id_of[text] in self._special_ids

    def is_control(self, token_id: int) -> bool:
        """Whether an id is a token that no message's own words become."""
        return int(token_id) in self._control_ids

    def begins_with(self, token_id: int) -> bool:
        """Whether the tokenizer puts a token in front of plain text."""
        return [int(id_) for id_ in self.tokenizer.encode("a").ids][:1] == [token_id]

    def plain(self, text: str) -> Marked:
        """Return a text of which every stretch that looks like a control token is meant as words."""
        return Marked(text, tuple(match.span() for match in self.control.finditer(text)))

    def ids(self, marked: Marked) -> TokenIds:
        """Return the ids of a text, nothing added before or after.

        Raises:
            ControlTokenError: this tokenizer cannot tell words of a message from a control token.
        """
        units = self._cut(marked, None).units
        self._learn(unit for unit in units if isinstance(unit, str))
        parts = [self._known(unit) for unit in units]
        return np.concatenate(parts) if parts else _no_ids()

    def beginnings(self, texts: Sequence[tuple[Marked, Sequence[int]]]) -> list[list[TokenIds] | ControlTokenError]:
        """Return for each text the ids of its beginnings, as `ids` gives them; all that is new is encoded in one batch.

        Args:
            texts: each with the lengths of its beginnings, in characters, ascending.
        """
        # "<s>hi<e><s>yo" with the boundaries <s> and <e>, and its beginnings of 5 and of 12 characters:
        #
        #     units   "<s>hi"  "<e>"  "<s>yo"       each encoded alone: no merge of the tokenizer crosses a boundary
        #     cuts     0        5      8            where a unit begins
        #     seen     0        8      11           how much of the text shows that it begins there
        #
        # The beginning of 5 characters, "<s>hi", shows no cut but the first: no whole unit, and that rest. The one of
        # 12, "<s>hi<e><s>y", shows all three: two whole units and the rest "<s>y". A next text, "<s>hi<e><s>yo<e>", has
        # the same cuts as far as both texts agree, so that only what is new is looked for and encoded.
        cuts: list[_Cut] = []
        for marked, _ in texts:
            cuts.append(self._cut(marked, cuts[-1] if cuts else None))
        rests = [[cut.rest(stop) for stop in stops] for cut, (_, stops) in zip(cuts, texts, strict=True)]
        self._learn(
            unit
            for cut, some in zip(cuts, rests, strict=True)
            for unit in (*cut.units, *(rest for _, rest in some))
            if isinstance(unit, str)
        )
        found: list[list[TokenIds] | ControlTokenError] = []
        ids, starts = _no_ids(), [0]
        for cut, some in zip(cuts, rests, strict=True):
            try:
                parts = [self._known(unit) for unit in cut.units]
                ids = np.concatenate([ids[: starts[cut.num_shared]], *parts])
                starts = [*starts[: cut.num_shared], *accumulate(map(len, parts), initial=starts[cut.num_shared])]
                found.append([self._beginning(ids, starts[num_units], rest) for num_units, rest in some])
            except ControlTokenError as error:
                found.append(error)
        return found

    def _beginning(self, ids: TokenIds, start: int, rest: Unit) -> TokenIds:
        """Return the ids of some units, which end at `start`, and of a rest; a view where that begins the next unit."""
        last = self._known(rest)
        end = start + len(last)
        same = ids[start:end].tobytes() == last.tobytes()
        return ids[:end] if same else np.concatenate([ids[:start], last])

    def ids_after(self, marked: Marked) -> TokenIds:
        """Return the ids of a text that continues another one, so that no space is put in front of it."""
        for before in ("\n", ".", "a"):
            shifted = tuple((a + len(before), b + len(before)) for a, b in marked.literals)
            alone, joined = self.ids(Marked(before)), self.ids(Marked(before + marked.text, shifted))
            if np.array_equal(joined[: len(alone)], alone):
                return joined[len(alone) :]
        return self.ids(marked)

    def decode(self, ids: Sequence[int] | TokenIds, *, skip_special_tokens: bool = False) -> str:
        """Return the text of ids."""
        return str(self.tokenizer.decode([int(id_) for id_ in ids], skip_special_tokens=skip_special_tokens))

    def _is_control(self, text: str, template_source: str) -> bool:
        """Special tokens, and bracketed ones that the template writes; not added words, white space or HTML tags."""
        bracketed = text[:1] in "<[" and text[-1:] in ">]"
        piped = text[1:2] in ("|", "｜")
        return self._added[text][1].special or (bracketed and (piped or text in template_source))

    def _cut(self, marked: Marked, before: "_Cut | None") -> "_Cut":
        """Return the units of a text; those that it begins with as the text before it are not looked for again."""
        text = marked.text
        cuts, seen = [0], [0]
        if before is not None and not (marked.literals or before.marked.literals):
            # A boundary is the longest at its place, so as much text after it decides which it is.
            num_shared = bisect_right(before.seen, agreed(before.marked.text, text) - self._longest_boundary)
            cuts, seen = before.cuts[: max(num_shared, 1)], before.seen[: max(num_shared, 1)]
        num_shared = len(cuts) - 1
        for match in self._boundary.finditer(text, seen[-1]):
            cut = match.start()
            if any(a <= cut < b for a, b in marked.literals):
                continue
            if self._added[match.group()][1].lstrip:
                cut = len(text[cuts[-1] : cut].rstrip()) + cuts[-1]
            if cut > cuts[-1]:
                cuts.append(cut)
                seen.append(match.end())
        units = [marked.unit(start, end) for start, end in pairwise([*cuts[num_shared:], len(text)]) if end > start]
        return _Cut(marked=marked, cuts=cuts, seen=seen, num_shared=num_shared, units=units)

    def _learn(self, units: Iterable[str]) -> None:
        """Encode what is not known yet, in one batch."""
        if self._num_cached > self._most_cached:
            self._units.clear()
            self._num_cached = 0
        missing = [unit for unit in dict.fromkeys(units) if unit not in self._units]
        for unit, ids in zip(missing, self._words.encode(missing), strict=True):
            self._units[unit] = ids
            self._num_cached += len(ids)

    def _known(self, unit: Unit) -> TokenIds:
        return self._units[unit] if isinstance(unit, str) else self._spelt_out(unit)

    def _spelt_out(self, unit: Marked) -> TokenIds:
        """Encode a unit that holds words which look like control tokens."""
        ids: list[int] = []
        start, lead = 0, None
        real = [m for m in self.control.finditer(unit.text) if not any(a <= m.start() < b for a, b in unit.literals)]
        for match in [*real, None]:
            words = unit.text[start : match.start() if match else None]
            ids += self._ids_of_words(words, lead, match.group() if match else None)
            if match:
                start, lead = match.end(), match.group()
        return np.array(ids, dtype=np.int32)

    def _ids_of_words(self, words: str, lead: str | None, following: str | None) -> list[int]:
        """Return the ids of the control token `lead` and of the words after it, which hold no control token."""
        if lead is not None and self._added[lead][1].rstrip:
            words = words.lstrip()
        if following is not None and self._added[following][1].lstrip:
            words = words.rstrip()
        wordy, back = self._without_control_tokens
        ids = wordy.encode(words if lead is None else _MARK + words, add_special_tokens=False).ids
        ids = [back.get(id_, id_) for id_ in (ids if lead is None else ids[1:])]
        if taken := self._control_ids.intersection(ids):
            raise ControlTokenError(f'this tokenizer makes "{self.tokenizer.id_to_token(min(taken))}" of plain text')
        return ids if lead is None else [self._added[lead][0], *ids]

    @cached_property
    def _without_control_tokens(self) -> tuple[Tokenizer, dict[int, int]]:
        """The tokenizer to which control tokens are plain text, and the true ids of the added words it keeps."""
        document = json.loads(self._json)
        kept = [token for token in document["added_tokens"] if not self.control.fullmatch(token["content"])]
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        mark = {"id": self.vocab_size, "content": _MARK, "special": True, **flags}
        document |= {"added_tokens": [*kept, mark], "truncation": None, "padding": None}
        wordy = Tokenizer.from_str(json.dumps(document))
        decoder = wordy.get_added_tokens_decoder()
        return wordy, {id_: self._added[t.content][0] for id_, t in decoder.items() if t.content in self._added}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A text cut into units."""

    marked: Marked
    cuts: list[int]
    """Where a unit begins."""
    seen: list[int]
    """How much of the text decides so."""
    num_shared: int
    """How many units are those of the text before it."""
    units: list[Unit]
    """The others."""

    def rest(self, stop: int) -> tuple[int, Unit]:
        """Return how many whole units precede a place, and what is left up to it."""
        num_units = bisect_right(self.seen, stop) - 1
        return num_units, self.marked.unit(self.cuts[num_units], stop)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for the longest of some texts; a tree of characters, as a tokenizer may have thousands."""
    tree: dict[str, Any] = {}
    for text in filter(None, texts):
        node = tree
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_branches(tree) if tree else "(?!)")


def _branches(node: dict[str, Any]) -> str:
    longer = [re.escape(character) + _branches(below) for character, below in node.items() if character]
    if not longer:
        return ""
    return f"(?:{'|'.join(longer)}){'?' if '' in node else ''}"


def _no_ids() -> TokenIds:
    return np.empty(0, dtype=np.int32)
