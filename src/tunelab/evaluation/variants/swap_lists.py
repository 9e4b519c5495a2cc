"""Lists of words that are exchanged: those that come with tunelab, and a user's own in the same form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.evaluation.variants.config import BiasConfig
from tunelab.evaluation.variants.shipped_lists import shipped_text

_SHIPPED = ("swaps_en.yaml", "swaps_pt.yaml")
_LANGUAGES = ("en", "pt")
_MOST_BYTES = 1 << 20
_WORD = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EXAMPLE = "swaps: {gender: [[he, she], [boy, girl]]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapList:
    """Words of one kind and language, each with its partner."""

    kind: str
    language: str | None
    """``en`` or ``pt``; None applies to texts of every language."""
    partners: Mapping[str, str]
    """Both directions, by the word as the list writes it."""


def swap_lists(config: BiasConfig) -> list[SwapList]:
    """Return the lists of the kinds that a suite asks for, own words added to those that ship.

    Raises:
        RecipeError: an own list cannot be read or gives a word another partner, or a kind has no list.
    """
    shipped = [each for name in _SHIPPED for each in _lists_in(shipped_text(name), name)]
    own = read_swap_lists(Path(config.lists)) if config.lists is not None else []
    known = dict.fromkeys(each.kind for each in (*shipped, *own))
    for kind in config.swaps:
        if kind not in known:
            what = f'there is no list of swaps for "{kind}"'
            raise RecipeError(what, where="bias.swaps", remedy=did_you_mean(kind, known))
    return [each for kind in config.swaps for each in _of_kind(kind, shipped, own, config.lists or "")]


def list_for(lists: Iterable[SwapList], kind: str, language: str) -> SwapList | None:
    """Return the list of a kind for a text: that of its language, else one of all languages, else None."""
    by_language = {each.language: each for each in lists if each.kind == kind}
    return by_language.get(language, by_language.get(None))


def _of_kind(kind: str, shipped: Iterable[SwapList], own: Iterable[SwapList], name: str) -> list[SwapList]:
    """Return one list for each language, and one for all others if an own list names no language."""
    added = next((each for each in own if each.kind == kind), None)
    lists = [each for each in shipped if each.kind == kind]
    if added is None:
        return lists
    joined = [_joined(each, added, name) if added.language in (None, each.language) else each for each in lists]
    return joined if added.language in {each.language for each in lists} else [*joined, added]


def _joined(shipped: SwapList, own: SwapList, name: str) -> SwapList:
    known = {word.casefold(): partner for word, partner in shipped.partners.items()}
    for word, partner in own.partners.items():
        if known.get(word.casefold(), partner) != partner:
            what = f'"{word}" has another partner in the list of {own.kind} that comes with tunelab'
            remedy = "Leave it out, or name the kind otherwise."
            raise RecipeError(what, where=name, expected=f'"{known[word.casefold()]}"', remedy=remedy)
    return replace(shipped, partners={**shipped.partners, **own.partners})


def read_swap_lists(file: Path) -> list[SwapList]:
    """Return the lists in a file: ``language`` (may be left out), and ``swaps`` with pairs for each kind.

    Raises:
        RecipeError: it cannot be read, or is not of this form; it names the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RecipeError(f"the lists of swaps cannot be read ({error.strerror})", where=str(file)) from error
    if len(content) > _MOST_BYTES:
        raise RecipeError("the lists of swaps are larger than 1 MiB", where=str(file), expected=_EXAMPLE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError("this is not UTF-8", where=f"{file}:{line}", expected="a YAML file in UTF-8") from error
    return list(_lists_in(text, str(file)))


@lru_cache(maxsize=8)
def _lists_in(text: str, name: str) -> tuple[SwapList, ...]:
    content = _yaml(text, name)
    if not isinstance(content, dict) or not isinstance(content.get("swaps"), dict) or not content["swaps"]:
        raise RecipeError("this holds no lists of swaps", where=f"{name}:1", expected=_EXAMPLE)
    for key in content:
        if key not in ("language", "swaps"):
            where = f"{name}:{_key_line(content, key)}"
            raise RecipeError(f'a file of swaps has no key "{key}"', where=where, expected="language and swaps")
    language = content.get("language")
    if language not in (None, *_LANGUAGES):
        where = f"{name}:{_key_line(content, 'language')}"
        raise RecipeError(f'the language is "{language}"', where=where, expected="en or pt, or no language")
    swaps = content["swaps"]
    return tuple(_list(kind, swaps[kind], language, name, f"{name}:{_key_line(swaps, kind)}") for kind in swaps)


def _list(kind: Any, pairs: Any, language: str | None, name: str, where: str) -> SwapList:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        expected = "small letters, digits and underscores, such as religion"
        raise RecipeError(f'"{kind}" is no name of a kind of swaps', where=where, expected=expected)
    return SwapList(kind=kind, language=language, partners=_partners(pairs, name, where))


def _partners(pairs: Any, name: str, where: str) -> dict[str, str]:
    if not isinstance(pairs, list) or not pairs:
        raise RecipeError("a kind of swaps holds no pairs", where=where, expected=_EXAMPLE)
    partners: dict[str, str] = {}
    known: set[str] = set()
    for index, pair in enumerate(pairs):
        place = f"{name}:{_item_line(pairs, index)}"
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(each, str) for each in pair):
            raise RecipeError("this is no pair of words", where=place, expected="two words, such as [he, she]")
        for word, partner in (pair, pair[::-1]):
            if not _WORD.fullmatch(word):
                raise RecipeError(f'"{word}" is no word', where=place, expected="letters, blanks, hyphens, apostrophes")
            if word.casefold() == partner.casefold():
                raise RecipeError(f'"{word}" is exchanged for itself', where=place, expected="two different words")
            if word.casefold() in known:
                remedy = "Leave it in one: otherwise its partner is not decided."
                raise RecipeError(f'"{word}" is in two pairs', where=place, expected="each word once", remedy=remedy)
        partners |= {pair[0]: pair[1], pair[1]: pair[0]}
        known |= {pair[0].casefold(), pair[1].casefold()}
    return {str(word): str(partner) for word, partner in partners.items()}


def _yaml(text: str, name: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(f"this is not YAML ({error.problem or error.context})", where=where) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise RecipeError("this is not YAML", where=name, expected=_EXAMPLE) from error


def _key_line(content: Any, key: object) -> int:
    return int(content.lc.key(key)[0]) + 1


def _item_line(content: Any, index: int) -> int:
    return int(content.lc.item(index)[0]) + 1
