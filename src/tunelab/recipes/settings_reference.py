"""The reference of every setting, from where each is declared: ``python -m tunelab.recipes.settings_reference``."""

from __future__ import annotations

import json

from tunelab.recipes.keys import expected
from tunelab.recipes.recipe import SECTIONS, Recipe


def settings_reference() -> str:
    """Return one Markdown table per section of a recipe: setting, default, what it may hold, what it does."""
    parts = []
    for name, config in SECTIONS.items():
        section, _, inner = name.partition(".")
        described = SECTIONS[section].model_fields[inner] if inner else Recipe.model_fields[name]
        parts += [f"## {name}", "", described.description or "", ""]
        parts += ["| setting | default | may hold | meaning |", "|---|---|---|---|"]
        for key, field in config.model_fields.items():
            if f"{name}.{key}" in SECTIONS:
                continue
            default = json.dumps(field.get_default(call_default_factory=True, validated_data={}), ensure_ascii=False)
            cells = (f"`{key}`", f"`{default}`", expected(f"{name}.{key}"), field.description or "")
            parts.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(settings_reference(), end="")
