"""A name that is no setting: refused with the nearest that is one, or with the word on it if another tool has it."""

from __future__ import annotations

from difflib import get_close_matches

from tunelab.errors import RecipeError, did_you_mean, guess
from tunelab.recipes.keys import expected, kinds
from tunelab.recipes.peers import PEERS
from tunelab.recipes.peers.key import words
from tunelab.recipes.peers.short_names import SHORT_NAMES
from tunelab.recipes.recipe import ADAPTERS, FIELDS, SECTIONS

_VAGUE = words(
    "config debug env error id keys metadata object project status strict suffix test token tokens train type"
)
"""Names of keys that mean too much to be a hint."""
_SURE = 0.8
"""How alike a name has to be to one of another section or another tool, from 0 to 1."""


_EVERY = [*SHORT_NAMES, *(key for peer in PEERS for key in peer.KEYS)]
_OWN = {name.rpartition(".")[2] for name in (*FIELDS, *SECTIONS)}
_WORDS = {key.name.rpartition(".")[2]: key.sentence for key in reversed(_EVERY) if "*" not in key.name}
FOREIGN = {name: _WORDS[name] for name in sorted(_WORDS) if name not in _OWN | _VAGUE}
"""Names that other tools have for their settings -> the word on them, from the tables of these tools."""


def check_key(dotted: str, where: str) -> None:
    """Raise a RecipeError for a key that is none, with the nearest good name."""
    if dotted in FIELDS or dotted in SECTIONS:
        return
    section, _, key = dotted.rpartition(".")
    raise RecipeError(f'there is no setting "{dotted}"', where=where, remedy=_remedy(section, key))


def _remedy(section: str, key: str) -> str:
    if section in FIELDS:
        if dict in kinds(section):
            return f"{section} is a mapping, which is given whole: {section}={{{key}: ...}}."
        return f"{section} holds {expected(section)}."
    if word := FOREIGN.get(key) or next((each.sentence for each in _EVERY if "*" in each.name and each.names(key)), ""):
        return _for_section(word, section)
    homes = [dotted for dotted in FIELDS if dotted.rpartition(".")[2] == key]
    if homes:
        return f'Did you mean "{min(homes, key=_depth)}"?'
    if section and section not in SECTIONS:
        return f"{did_you_mean(section, SECTIONS)} (A setting is written section.key.)"
    if not section and (nearest_section := guess(key, SECTIONS)):
        return nearest_section
    own = {name: f"{section}.{name}" for name in SECTIONS[section].model_fields} if section else {}
    return _nearest(key, own) or _nearest_elsewhere(key, section) or did_you_mean(key, own or SECTIONS)


def _for_section(word: str, section: str) -> str:
    """Return a word on LoRA for the other adapter that is one."""
    return word.replace(" lora.", f" {section}.") if section in ADAPTERS and section == "qlora" else word


def _nearest(key: str, own: dict[str, str]) -> str:
    near = get_close_matches(key, own, n=1)
    return f'Did you mean "{own[near[0]]}"?' if near else ""


def _nearest_elsewhere(key: str, section: str) -> str:
    """Return the nearest name of another section or another tool, if it is near beyond doubt."""
    every = {dotted.rpartition(".")[2]: dotted for dotted in sorted(FIELDS, key=_depth, reverse=True)}
    near = get_close_matches(key, {**every, **FOREIGN}, n=1, cutoff=_SURE)
    if not near:
        return ""
    name = near[0]
    return f'Did you mean "{every.get(name, name)}"? {_for_section(FOREIGN.get(name, ""), section)}'.rstrip()


def _depth(dotted: str) -> int:
    return dotted.count(".")
