"""The tables of docs/from: every key of the other tools whose recipes are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tunelab.recipes.dialects import modellab
from tunelab.recipes.peers import PEERS, Peer
from tunelab.recipes.peers.key import OFF, Key
from tunelab.recipes.recipe import FIELDS, SECTIONS

PAGES = tuple(dict.fromkeys([*(peer.PAGE for peer in PEERS), "modellab"]))
"""Names of the pages, each with a table for every tool that is on it."""
MARKER = "<!-- What follows is made by: make docs-reference -->"
"""What is above it in a page is written by hand."""
_HEAD = ["| key | here | what becomes of it |", "|---|---|---|"]
_KINDS = {
    ("read", "joined"): "what becomes a setting",
    ("differs",): "what is done otherwise, and said",
    ("noted",): "what is left out, and said once: it changes nothing of what is trained",
    ("refused",): "what is refused: it changes what is trained, and has no equal",
}


def with_tables(text: str, page: str) -> str:
    """Return the text of a page with its tables made anew."""
    return f"{text.partition(MARKER)[0]}{MARKER}\n\n{tables_of(page).rstrip()}\n"


def tables_of(page: str) -> str:
    """Return the Markdown tables of a page: every key of its tools, and what they do if a file says nothing."""
    if page == "modellab":
        return "\n".join(_modellab())
    return "\n".join(line for peer in PEERS if page == peer.PAGE for line in _tables(peer))


def _tables(peer: Peer) -> Iterator[str]:
    for kinds, title in _KINDS.items():
        keys = [key for key in peer.KEYS if key.kind in kinds]
        if keys:
            yield from (f"## {peer.NAME}: {title}", "", *_HEAD)
            yield from (_row(group) for group in _groups(keys))
            yield ""
    yield from (f"## {peer.NAME}: if its file says nothing", "", "| setting | value |", "|---|---|")
    yield from (f"| `{setting}` | `{json.dumps(value)}` |" for setting, value in peer.DEFAULTS.items())
    yield ""


def _groups(keys: Iterable[Key]) -> list[list[Key]]:
    """Return keys of which the same is said together, in the order of the table."""
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        becomes = key.kind in ("read", "joined")
        is_same = becomes and not key.word and key.setting == f"training.{key.name}"
        mark = ("same",) if is_same else (key.name if becomes else "", key.word, key.setting, str((key.off, key.near)))
        groups.setdefault(mark, []).append(key)
    return list(groups.values())


def _row(keys: list[Key]) -> str:
    first = keys[0]
    names = ", ".join(f"`{key.name.replace('.', ': ')}`" for key in keys)
    allowed = [json.dumps(value) for value in first.off if value not in OFF]
    but = f" (not if it is {' or '.join(allowed)})" if 0 < len(allowed) < 6 else ""
    but += f" (said, not refused, if it is {' or '.join(map(str, first.near))})" if first.near else ""
    word = first.word or "the same"
    setting = "`training` has settings of these names" if len(keys) > 1 and not first.word else first.setting
    here = f"`{setting}`" if setting in (*FIELDS, *SECTIONS) else setting
    return f"| {names} | {here} | {word}{but} |"


def _modellab() -> Iterator[str]:
    yield from (
        "## ModelLab: its keys",
        "",
        "| key | here | if a `lora.yaml` leaves it out | if a `soft_prompt.yaml` does |",
    )
    yield "|---|---|---|---|"
    for name, key in modellab.KEYS.items():
        defaults = (f"`{json.dumps(value)}`" if value is not None else "" for value in (key.lora, key.soft_prompt))
        yield f"| `{name}` | `{key.setting}` | {' | '.join(defaults)} |"
    yield ""
