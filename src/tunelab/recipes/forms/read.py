"""A form read from its file, `X.yaml.config`, strictly: what it does not know it refuses, with the line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from tunelab.errors import RecipeError, did_you_mean
from tunelab.files import read_small_file
from tunelab.recipes.forms.form import GROUP_NAMES, NAMES, Field, FieldType, Group, RecipeForm
from tunelab.recipes.json_text import JsonPath, JsonText, read_json
from tunelab.recipes.keys import shown
from tunelab.sources.strict_json import kind_of

MAX_FORM_BYTES = 2**20
"""A form is some pages of fields; what is larger is some other file."""
_KINDS = {
    "true or false": ("required", "is_array", "collapsible", "collapsed"),
    "a number": ("min", "max"),
    "a list": ("fields",),
}
"""Attributes of groups and fields that are no text."""
_ANYTHING = ("default", "learn_more")


def form_next_to(file: Path) -> RecipeForm | None:
    """Return the form of a YAML file, which has its name and ``.config``; None if nothing has that name.

    Raises:
        RecipeError: it cannot be read, or it is no form.
    """
    path = file.with_name(f"{file.name}.config")
    return read_form(path) if os.path.lexists(path) else None


def read_form(path: Path) -> RecipeForm:
    """Return the form that a file holds.

    Raises:
        RecipeError: it cannot be read, it is no JSON, or a group or a field is not as forms have them.
    """
    json = read_json(_text_of(path), str(path))
    return RecipeForm(groups=tuple(_group(json, (index,)) for index in _indices(json, (), "groups")), name=path.name)


def _text_of(path: Path) -> str:
    try:
        return read_small_file(path, max_bytes=MAX_FORM_BYTES).decode("utf-8-sig")
    except OSError as error:
        what = f"the form cannot be read ({error.strerror or error})"
        raise RecipeError(what, where=str(path), expected=f"at most {MAX_FORM_BYTES >> 10:,} KiB of JSON") from error
    except UnicodeDecodeError as error:
        raise RecipeError("the form is not UTF-8", where=str(path), remedy="Save the file as UTF-8.") from error


def _group(json: JsonText, place: JsonPath) -> Group:
    said = _said(json, place, GROUP_NAMES, "group")
    if not said.get("group_id"):
        raise _fault(json, place, "a group has no groupId", "a name such as data or finetuning")
    inner = (*place, "fields")
    fields = tuple(_field(json, (*inner, index)) for index in _indices(json, inner, "fields"))
    return Group(**said | {"fields": fields})


def _field(json: JsonText, place: JsonPath) -> Field:
    said = _said(json, place, NAMES, "field")
    lines = {key: json.line((*place, key)) for key in json.at(place)}
    field = Field(**{"type": ""} | said | {"options": tuple(said.get("options", ())), "lines": lines})
    types = get_args(FieldType)
    if field.type not in types:
        what = f"the type is {shown(field.type)}" if field.type else "a field has no type"
        raise _fault(json, (*place, "type"), what, f"one of {', '.join(types)}")
    if field.id and field.token:
        raise _fault(json, (*place, "replaceToken"), "a field has both id and replaceToken", "one of them")
    for bound in ("min", "max"):
        if field.type not in ("Integer", "Number") and getattr(field, bound) is not None:
            what = f"a field of type {field.type} has a {bound}"
            raise _fault(json, (*place, bound), what, "limits of an Integer or a Number alone")
    if field.min is not None and field.max is not None and field.min > field.max:
        raise _fault(json, (*place, "min"), f"min {field.min:g} is above max {field.max:g}", "a min of at most max")
    return field


def _said(json: JsonText, place: JsonPath, names: Mapping[str, str], what: str) -> dict[str, Any]:
    """Return attribute -> value of a group or a field, each of the kind that it has to be; null says nothing."""
    value = json.at(place)
    if not isinstance(value, dict):
        raise _fault(json, place, f"this is {kind_of(value)}", f"a {what}: {{…}}")
    attributes = {key: attribute for attribute, key in names.items()}
    for key in value:
        if key not in attributes:
            remedy = did_you_mean(key, attributes)
            raise RecipeError(f'a {what} has no "{key}"', where=json.where((*place, key)), remedy=remedy)
    said = {attributes[key]: each for key, each in value.items() if each is not None}
    for attribute, each in said.items():
        if expected := _expected(attribute, each):
            key = names[attribute]
            raise _fault(json, (*place, key), f"{key} is {kind_of(each)}", expected)
    return said


def _expected(attribute: str, value: object) -> str:
    """Return in words what a value should have been; empty if it is."""
    if attribute in _ANYTHING:
        return ""
    if attribute == "options":
        are_plain = isinstance(value, list) and all(isinstance(each, str | int | float) for each in value)
        return "" if are_plain else "a list of texts and numbers"
    kind = next((kind for kind, names in _KINDS.items() if attribute in names), "text")
    return "" if kind_of(value) == kind else kind


def _indices(json: JsonText, place: JsonPath, of: str) -> range:
    """Return the numbers of what is in a list."""
    value = json.at(place)
    if not isinstance(value, list):
        what = f"there are no {of}" if value is None else f"this is {kind_of(value)}"
        raise _fault(json, place, what, f"a list of {of}")
    return range(len(value))


def _fault(json: JsonText, place: JsonPath, what: str, expected: str) -> RecipeError:
    return RecipeError(what, where=json.where(place), expected=expected)
