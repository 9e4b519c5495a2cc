"""What a command line, a page or a form needs to know of a setting, declared in the config class that has it."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Union, cast, get_args, get_origin

if TYPE_CHECKING:
    from typing import Unpack

    from pydantic.config import JsonDict
    from pydantic.fields import FieldInfo


class SettingMarks(TypedDict, total=False):
    """What a setting is marked with besides its default and its range."""

    everyday: bool
    """True for the settings that an ordinary user touches."""
    scale: Literal["log"]
    """How a slider would be divided; evenly without it."""
    unit: str
    """What its number counts, in the plural."""
    flag: str
    """Its flag on the command line as help writes it, e.g. ``--exclude FILE``."""


def marks(**given: Unpack[SettingMarks]) -> JsonDict:
    """Return marks as pydantic keeps them: ``Field(2048, json_schema_extra=marks(unit="tokens"))``."""
    return cast("JsonDict", given)


def marks_of(field: FieldInfo) -> SettingMarks:
    """Return the marks of a setting; empty for one that has none."""
    return cast(SettingMarks, field.json_schema_extra or {})


def meaning_of(field: FieldInfo) -> str:
    """Return the prose under a setting as one line."""
    return " ".join((field.description or "").split())


def kinds_of(annotation: Any) -> set[type]:
    """Return the Python types that a setting may hold: str, int, float, bool, tuple, dict, NoneType."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return set().union(*map(kinds_of, get_args(annotation)))
    if origin is Annotated:
        return kinds_of(get_args(annotation)[0])
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    return {origin or annotation}
