"""tunelab's own form: sections and their settings by name."""

from __future__ import annotations

from tunelab.errors import RecipeError
from tunelab.recipes.keys import shown
from tunelab.recipes.recipe import SECTIONS
from tunelab.recipes.unknown_keys import check_key
from tunelab.recipes.yaml_document import Faults, Layer, Note, Setting, YamlDocument


def speaks(names: frozenset[str]) -> bool:
    """Return True: what no other dialect claims is read, and faulted, as canonical."""
    return True


def read(document: YamlDocument, faults: Faults) -> tuple[str, Layer, list[Note]]:
    """Return the dialect's name and the settings; there is nothing to say of them."""
    layer: Layer = {}
    for entry in document.entries():
        with faults.noted():
            check_key(entry.dotted, entry.where)
            if entry.dotted in SECTIONS and entry.value not in (None, {}):
                what = f"the section {entry.dotted} holds {shown(entry.value)}"
                first = next(iter(SECTIONS[entry.dotted].model_fields))
                expected = f"settings such as {first}:, indented below it"
                raise RecipeError(what, where=entry.where, expected=expected)
            layer[entry.dotted] = Setting(value=entry.value, source=entry.where)
    return "canonical", layer, []
