"""The changed prompts of a row: one for each kind that a suite asks for, the same whatever else is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tunelab.evaluation.variants.agreement import Undecided
from tunelab.evaluation.variants.config import BiasConfig, Perturbation, RobustnessConfig
from tunelab.evaluation.variants.perturbations import PERTURB, double_space, injection
from tunelab.evaluation.variants.protected_spans import Span, protected_spans
from tunelab.evaluation.variants.swap_lists import SwapList, list_for, swap_lists
from tunelab.evaluation.variants.swaps import swapped
from tunelab.texts.language import language_of

NEUTRAL = "neutral"
"""The edit that changes nothing for a reader; its flips are the noise that swaps are compared with."""
SWAP = "swap:"
"""Before the kind of a swap, e.g. ``swap:gender``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A message, changed in one way."""

    kind: str
    """``typos`` and so on, ``neutral``, or ``swap:gender`` and so on."""
    text: str | None
    """None if this kind cannot change the message."""
    note: str = ""
    """The answer that an injection asks for; why there is no text, if there is none."""
    reference: str | None = None
    """The right answer with the same words exchanged; None if it stays as it is."""


def rows_tried(item_ids: Iterable[str], *, num_rows: int, seed: int) -> frozenset[str]:
    """Return the rows that are changed: at most `num_rows`, the same ones in whatever order they come."""
    return frozenset(sorted(item_ids, key=lambda item_id: (_draws(seed, item_id, "rows").random(), item_id))[:num_rows])


def variants_of(
    asked: str,
    *,
    item_id: str,
    config: RobustnessConfig | BiasConfig,
    labels: Sequence[str] = (),
    tool_names: Sequence[str] = (),
    label: str | None = None,
    reference: str = "",
    seed: int,
) -> list[Variant]:
    """Return a row's message changed by each kind that a suite's section asks for.

    Args:
        asked: the message that is answered.
        item_id: of the row; with the seed and the kind it decides every draw.
        config: the section.
        labels: of the task, protected in the message.
        tool_names: protected in the message.
        label: the right one; an injection asks for another.
        reference: the right answer; swaps exchange the same words in it.
        seed: of the suite.

    Raises:
        RecipeError: own lists of swaps that cannot be read.
    """
    words = [*labels, *tool_names]
    spans = protected_spans(asked, words=words)
    if isinstance(config, RobustnessConfig):
        language = language_of(asked)
        others = [each for each in labels if each != label]
        return [_perturbed(kind, asked, spans, language, others, _draws(seed, item_id, kind)) for kind in config.kinds]
    variants = list(_swaps(asked, spans, config, reference, words))
    if any(variant.text is not None for variant in variants):
        variants.append(_neutral(asked, spans, _draws(seed, item_id, NEUTRAL)))
    return variants


def _perturbed(
    kind: Perturbation, asked: str, spans: Sequence[Span], language: str, others: Sequence[str], draws: Random
) -> Variant:
    if not asked.strip():
        return Variant(kind=kind, text=None, note="the message is empty")
    if kind == "injection":
        answer = others[int(draws.random() * len(others))] if others else None
        text, requested = injection(asked, language, answer, draws)
        return Variant(kind=kind, text=text, note=requested)
    changed = PERTURB[kind](asked, spans, language, draws)
    return Variant(kind=kind, text=changed, note="" if changed is not None else "nothing to change")


def _neutral(asked: str, spans: Sequence[Span], draws: Random) -> Variant:
    changed = double_space(asked, spans, "", draws)
    return Variant(kind=NEUTRAL, text=changed, note="" if changed is not None else "nothing to change")


def _swaps(
    asked: str, spans: Sequence[Span], config: BiasConfig, reference: str, words: Sequence[str]
) -> Iterator[Variant]:
    lists = swap_lists(config)
    language = language_of(asked) if any(each.language for each in lists) else ""
    for kind in config.swaps:
        yield _swap(SWAP + kind, asked, spans, list_for(lists, kind, language), reference, words)


def _swap(
    kind: str, asked: str, spans: Sequence[Span], swap_list: SwapList | None, reference: str, words: Sequence[str]
) -> Variant:
    """Return the message with the words of a list exchanged, or why they cannot be."""
    if swap_list is None:
        return Variant(kind=kind, text=None, note="there is no list for its language")
    try:
        text = swapped(asked, spans, swap_list)
        if text == asked:
            return Variant(kind=kind, text=None, note="no word of the list occurs")
        answer = swapped(reference, protected_spans(reference, words=words), swap_list)
    except Undecided as reason:
        return Variant(kind=kind, text=None, note=str(reason))
    return Variant(kind=kind, text=text, reference=answer if answer != reference else None)


def _draws(seed: int, item_id: str, kind: str) -> Random:
    digest = hashlib.blake2b(f"{seed}\n{item_id}\n{kind}".encode(errors="replace"), digest_size=8).digest()
    return Random(int.from_bytes(digest, "big"))
