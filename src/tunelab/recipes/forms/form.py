"""A form: which values the keys of a method's YAML may have, and how a page asks for them.

The file `lora.yaml.config` next to a `lora.yaml` holds one, in the JSON of ModelLab: an array of groups of fields.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

FieldType = Literal["String", "Integer", "Number", "Boolean"]
Option = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question of a form, and which answers it takes."""

    type: FieldType
    """What a value is."""
    label: str = ""
    """What is asked, as a page shows it."""
    info: str = ""
    """What the value does."""
    hint: str = ""
    """A suggestion for the value, shown next to it."""
    default: Any = None
    """The value that a page starts from. In ModelLab's own files it may break the field's own limits."""
    id: str = ""
    """Key of the YAML that it fills; dotted in a recipe with sections. Empty for a field addressed by `token`."""
    token: str = ""
    """The same in an older way: a key without brackets, or a ``<text>`` of the YAML that is replaced."""
    required: bool = False
    """Whether the key must have a value."""
    min: float | None = None
    """Least value; None sets no limit."""
    max: float | None = None
    """Largest value; None sets no limit."""
    options: tuple[Option, ...] = ()
    """The only values there are; empty leaves all."""
    is_array: bool = False
    """Whether the value is a list, each of its items as `type` says."""
    file_name: str | None = None
    """For a file that a page lets a user choose: what its copy is called; empty keeps its name."""
    save_path: str | None = None
    """For the same: the folder under the run's that gets the copy."""
    sample: str = ""
    """For the same: example lines."""
    learn_more: Any = None
    """A page to read, as the file has it."""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    """JSON key -> the line that has it, from 1; empty if the form was made here."""

    @property
    def key(self) -> str:
        """The key of the YAML that it is about; empty for a field that fills a file."""
        return self.id or self.token.strip("<>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Fields under one title."""

    group_id: str
    """Such as ``data``, ``finetuning``, ``advanced`` or ``comparison``."""
    title: str = ""
    """Its heading."""
    fields: tuple[Field, ...] = ()
    """In the order of the page."""
    collapsible: bool = False
    """Whether a page lets a user fold it."""
    collapsed: bool = False
    """Whether it starts folded."""
    toggle: str = ""
    """Key of the YAML, true or false, that switches the group on or off; empty for a group that is always on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeForm:
    """The groups of a form."""

    groups: tuple[Group, ...]
    """In the order of the page."""
    name: str = ""
    """Name of the file that it was read from; empty if it was made here."""

    def fields(self) -> Iterator[Field]:
        """Yield the fields of all groups."""
        for group in self.groups:
            yield from group.fields

    def text(self) -> str:
        """Return the form as the text of its file; it reads back as an equal form."""
        return json.dumps([_group_json(group) for group in self.groups], indent=4, ensure_ascii=False) + "\n"


NAMES = {
    "type": "type",
    "label": "label",
    "info": "info",
    "hint": "hintMessage",
    "default": "defaultValue",
    "id": "id",
    "token": "replaceToken",
    "required": "required",
    "min": "min",
    "max": "max",
    "options": "optionValues",
    "is_array": "isArray",
    "file_name": "fileName",
    "save_path": "savePath",
    "sample": "sample",
    "learn_more": "learnMore",
}
"""Attribute of a field -> its JSON key, in the order of the file."""
GROUP_NAMES = {
    "group_id": "groupId",
    "title": "title",
    "collapsible": "collapsible",
    "collapsed": "collapsed",
    "toggle": "togglePath",
    "fields": "fields",
}
"""The same of a group."""


def _group_json(group: Group) -> dict[str, Any]:
    return _said(group, GROUP_NAMES, always=("group_id",)) | {"fields": [_field_json(each) for each in group.fields]}


def _field_json(each: Field) -> dict[str, Any]:
    return _said(each, NAMES, always=("type", "default")) | (
        {"optionValues": list(each.options)} if each.options else {}
    )


def _said(record: Field | Group, names: Mapping[str, str], always: Collection[str]) -> dict[str, Any]:
    """Return what a record says beyond its defaults, by JSON key."""
    defaults = {each.name: each.default for each in fields(record)}
    values = {name: getattr(record, name) for name in names}
    return {names[name]: value for name, value in values.items() if name in always or value != defaults[name]}
