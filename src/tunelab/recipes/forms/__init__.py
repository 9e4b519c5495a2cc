"""Forms of recipes: what a method's keys may hold, made from our settings or read from a file, and enforced."""

from tunelab.recipes.forms.form import Field, Group, RecipeForm
from tunelab.recipes.forms.make_form import form_of, form_text
from tunelab.recipes.forms.read import read_form

__all__ = ["Field", "Group", "RecipeForm", "form_of", "form_text", "read_form"]
