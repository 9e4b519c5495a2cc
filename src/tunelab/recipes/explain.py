"""A recipe explained: each value and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunelab.recipes.recipe import ADAPTERS, FIELDS, Recipe, settings_of
from tunelab.recipes.resolve import ResolvedRecipe
from tunelab.settings import meaning_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One setting of a resolved recipe."""

    key: str
    """Dotted canonical key."""
    value: Any
    source: str
    """Where the value came from."""
    meaning: str
    """What the setting does."""
    changed: bool
    """Whether somebody set it to something else than its default."""


def explain(resolved: ResolvedRecipe) -> list[Explanation]:
    """Return every setting of a recipe in its fixed order."""
    defaults = defaults_of(resolved.recipe)
    return [
        Explanation(
            key=key,
            value=value,
            source=resolved.sources[key],
            meaning=meaning_of(FIELDS[key]),
            changed=not resolved.sources[key].endswith("default") and value != defaults.get(key),
        )
        for key, value in settings_of(resolved.recipe).items()
    ]


def defaults_of(recipe: Recipe) -> dict[str, Any]:
    """Return dotted key -> default for every setting of a recipe with the same adapter."""
    return settings_of(Recipe.model_validate({name: {} for name in ADAPTERS if getattr(recipe, name)}))
