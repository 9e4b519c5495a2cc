"""The reference of every setting, from where each is declared: ``python -m tunelab.recipes.settings_reference``."""

from __future__ import annotations

import json

from tunelab.recipes.keys import expected
from tunelab.recipes.recipe import SECTIONS, Recipe
from tunelab.settings import marks_of, meaning_of


def settings_reference() -> str:
    """Return one Markdown table per section of a recipe: setting, default, what it may hold, what it does.

    Everyday settings have a star.
    """
    parts = []
    for name, config in SECTIONS.items():
        section, _, inner = name.partition(".")
        described = SECTIONS[section].model_fields[inner] if inner else Recipe.model_fields[name]
        parts += [f"## {name}", "", meaning_of(described), ""]
        parts += ["| setting | default | may hold | meaning |", "|---|---|---|---|"]
        defaults = config().model_dump(mode="json")
        for key, field in config.model_fields.items():
            if f"{name}.{key}" in SECTIONS:
                continue
            marked = marks_of(field)
            star, unit = " ★" * ("everyday" in marked), f" ({marked['unit']})" if "unit" in marked else ""
            default = json.dumps(defaults[key], ensure_ascii=False)
            cells = (f"`{key}`{star}", f"`{default}`", expected(f"{name}.{key}") + unit, meaning_of(field))
            parts.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(settings_reference(), end="")
