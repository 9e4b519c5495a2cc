"""Room of the recipes: one frozen tree of the rooms' settings, and where each value came from."""

from tunelab.recipes.convert import convert, write_new
from tunelab.recipes.explain import Explanation, explain
from tunelab.recipes.places import differing, portable, replaced, written_hash
from tunelab.recipes.recipe import Recipe, to_yaml
from tunelab.recipes.resolve import ResolvedRecipe, resolve_recipe

__all__ = [
    "Explanation",
    "Recipe",
    "ResolvedRecipe",
    "convert",
    "differing",
    "explain",
    "portable",
    "replaced",
    "resolve_recipe",
    "to_yaml",
    "write_new",
    "written_hash",
]
