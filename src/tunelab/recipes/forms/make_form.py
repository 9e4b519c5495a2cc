"""The form of a method, made from the config classes of the rooms: their types, ranges, choices and prose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipes.dialects.modellab import KEYS
from tunelab.recipes.forms import flat
from tunelab.recipes.forms.form import Field, FieldType, Group, RecipeForm
from tunelab.recipes.keys import kinds
from tunelab.recipes.recipe import ADAPTERS, FIELDS, SECTIONS, Recipe, settings_of
from tunelab.settings import marks_of, meaning_of

_TYPES: dict[str, FieldType] = {"string": "String", "number": "Number", "integer": "Integer", "boolean": "Boolean"}
"""Type of a JSON Schema -> type of a field, the wider first."""
_LEAST, _MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_TITLES = {"data": "Data", "finetuning": "Fine-tuning", "advanced": "Advanced", "comparison": "Comparison"}
_TOGGLE = "evaluation.compare"
_RENAMED = "evaluation_strategy"
"""A key that a file may have under a second name, `eval_strategy`, and so does without."""
_FLAT_NAMES = {key.setting.rpartition(".")[2]: name for name, key in reversed(KEYS.items())}
"""Name of a setting -> the key that a flat file has for it."""


def form_text(method: str) -> str:
    """Return the text of the form that lies next to the YAML of a method, such as `lora.yaml.config`.

    Raises:
        RecipeError: there is no such method.
    """
    return form_of(method).text()


def form_of(method: str) -> RecipeForm:
    """Return the form of a method: by ModelLab's flat keys for `lora` and `soft_prompt`, by dotted keys for others.

    Raises:
        RecipeError: there is no such method.
    """
    if method not in ADAPTERS:
        raise RecipeError(f'there is no method "{method}"', remedy=did_you_mean(method, ADAPTERS))
    settings = settings_of(Recipe.model_validate({method: {}}))
    if method in flat.GROUPS:
        groups = flat.GROUPS[method]
        return RecipeForm(groups=tuple(_flat_group(group, keys.split(), method, settings) for group, keys in groups))
    return RecipeForm(groups=tuple(_groups(method, settings)))


def _flat_group(group: Group, keys: Iterable[str], method: str, settings: Mapping[str, Any]) -> Group:
    return replace(group, fields=(*group.fields, *(_flat_field(key, method, settings) for key in keys)))


def _flat_field(key: str, method: str, settings: Mapping[str, Any]) -> Field:
    """Return the field of a flat key: as its setting has it, within what ModelLab's form says."""
    known, said = KEYS[key], flat.FIELDS[key]
    field = _field(known.setting, settings[known.setting])
    documented = getattr(known, method)
    template = known.template if method == "lora" else None
    defaults = (template, documented, said.default, field.default)
    return replace(
        field,
        label=said.label,
        info=re.sub(r"\w+_\w+", lambda name: _FLAT_NAMES.get(name[0], name[0]), field.info),
        default=next((value for value in defaults if value is not None), None),
        id=key,
        required=method == "lora" and documented is not None and not _may_be_empty(key, field),
        min=field.min if said.min is None else said.min,
        max=field.max if said.max is None else said.max,
        options=said.options or field.options,
        file_name=said.file_name,
        save_path=said.save_path,
        sample=said.sample,
    )


def _may_be_empty(key: str, field: Field) -> bool:
    return field.type == "Boolean" or type(None) in kinds(KEYS[key].setting) or key == _RENAMED


def _groups(method: str, settings: Mapping[str, Any]) -> Iterable[Group]:
    """Yield the groups of a recipe with sections: everyday settings, the method's own, all others, the comparison."""
    fields = {dotted: _field(dotted, value) for dotted, value in settings.items() if _schemas(dotted)}
    for group_id, title in _TITLES.items():
        is_folded = group_id in ("advanced", "comparison")
        yield Group(
            group_id=group_id,
            title=title,
            fields=tuple(field for dotted, field in fields.items() if _home(dotted, method) == group_id),
            collapsible=is_folded,
            collapsed=is_folded,
            toggle=_TOGGLE if group_id == "comparison" else "",
        )


def _home(dotted: str, method: str) -> str:
    """Return the group that a setting is in; none for the one that switches a group."""
    section = dotted.partition(".")[0]
    if section in (method, "evaluation"):
        return "finetuning" if section == method else "comparison" if dotted != _TOGGLE else ""
    if not marks_of(FIELDS[dotted]).get("everyday"):
        return "advanced"
    return "finetuning" if section == "training" else "data"


def _field(dotted: str, default: Any) -> Field:
    """Return the field of a setting by its type, range, choices and prose."""
    schemas = _schemas(dotted)
    items = [schema.get("items", schema) for schema in schemas]
    types = {item.get("type") for item in items}
    name = dotted.rpartition(".")[2].replace("_", " ")
    return Field(
        type=next((ours for theirs, ours in _TYPES.items() if theirs in types), "String"),
        label=name[0].upper() + name[1:],
        info=meaning_of(FIELDS[dotted]),
        default=default,
        id=dotted,
        min=_bound(items, _LEAST),
        max=_bound(items, _MOST),
        options=tuple(option for item in items for option in item.get("enum", ())),
        is_array=any("items" in schema for schema in schemas),
    )


def _bound(schemas: Iterable[Mapping[str, Any]], names: tuple[str, str]) -> float | None:
    """Return the widest of the least or largest values; None if one of the schemas has none."""
    bounds = [next((schema[name] for name in names if name in schema), None) for schema in schemas]
    known: list[float] = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        return None
    return min(known) if names is _LEAST else max(known)


def _schemas(dotted: str) -> list[dict[str, Any]]:
    """Return the JSON Schemas of what a setting may be; empty for a mapping, which no form has a type for."""
    section, _, key = dotted.rpartition(".")
    whole = _properties(section)[key]
    return [schema for schema in whole.get("anyOf", [whole]) if schema.get("type") not in ("null", "object")]


@cache
def _properties(section: str) -> dict[str, Any]:
    properties: dict[str, Any] = SECTIONS[section].model_json_schema()["properties"]
    return properties
