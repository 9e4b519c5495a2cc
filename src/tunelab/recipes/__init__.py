"""Room of the recipes: one frozen tree of the rooms' settings, and where each value came from."""

from tunelab.recipes.explain import Explanation, explain
from tunelab.recipes.recipe import Recipe, recipe_hash, to_yaml
from tunelab.recipes.resolve import ResolvedRecipe, resolve_recipe

__all__ = [
    "Explanation",
    "Recipe",
    "ResolvedRecipe",
    "explain",
    "recipe_hash",
    "resolve_recipe",
    "to_yaml",
]
