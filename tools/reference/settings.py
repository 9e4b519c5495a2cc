"""The page of settings, from where each is declared."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel

from tunelab.recipes.keys import expected
from tunelab.recipes.recipe import SECTIONS, Recipe
from tunelab.settings import marks_of, meaning_of

INTRODUCTION = """\
# Settings

Every setting of a recipe, by section. A ★ marks the everyday ones. On the command line a setting is
`--set training.learning_rate=1e-4`, in the environment `LLM_TRAINING__LEARNING_RATE=1e-4`.
`tunelab recipe explain FILE` prints the value of each and where it came from.
"""


def settings_page() -> str:
    """Return one Markdown table per section of a recipe: setting, default, what it may hold, what it does."""
    return "\n".join([INTRODUCTION, *(line for name in SECTIONS for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    section, _, inner = name.partition(".")
    described = SECTIONS[section].model_fields[inner] if inner else Recipe.model_fields[name]
    yield from (f"## {name}", "", meaning_of(described), "")
    yield from ("| setting | default | may hold | meaning |", "|---|---|---|---|")
    yield from _rows(name, SECTIONS[name])
    yield ""


def _rows(name: str, config: type[BaseModel]) -> Iterator[str]:
    defaults = config().model_dump(mode="json")
    for key, field in config.model_fields.items():
        if f"{name}.{key}" in SECTIONS:
            continue
        marked = marks_of(field)
        star, unit = " ★" * ("everyday" in marked), f" ({marked['unit']})" if "unit" in marked else ""
        default = json.dumps(defaults[key], ensure_ascii=False)
        cells = (f"`{key}`{star}", f"`{default}`", expected(f"{name}.{key}") + unit, meaning_of(field))
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
