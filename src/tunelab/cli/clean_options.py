"""Options of `tunelab clean`, which are the settings of a recipe by other names, and errors that name them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from tunelab.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

Settings = TypeVar("Settings", bound="BaseModel")

_OPTIONS = {
    "unicode_normalization": "unicode",
    "languages": "language",
    "text_fields": "text-field",
    "prompt_fields": "prompt-field",
    "exclude_files": "exclude",
}
"""Options that are called otherwise than their settings."""


def checked_settings(kind: type[Settings], values: dict[str, object]) -> Settings:
    """Return settings; what cannot be is told by the option's name."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        option = option_of(name)
        expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        expected = expected.replace("'keep', ", "").replace("'", "")
        given = json.dumps(first["input"], ensure_ascii=False)
        if expected.startswith(("is no", "is a", "names")):  # a clause of its own
            raise told_by_options(UserError(f"--{option} {given} {expected}")) from None
        raise told_by_options(UserError(f"--{option} is {given}", expected=expected)) from None


def told_by_options(error: UserError) -> UserError:
    """Return an error that names options where it named settings; what stands in quotes is the user's own."""
    from tunelab.cleaning.config import CleaningConfig

    settings = [*CleaningConfig.model_fields, "label_field", "label_json_key", "label_pattern"]
    plain = "|".join(name for name in settings if "_" in name)
    words = "|".join(name for name in settings if "_" not in name)  # elsewhere they are words like others
    setting = re.compile(rf'(?<![\w".-])(?:data\.)?({plain})(?![\w"])|(?:^|(?<=or ))({words})(?![\w"])')

    def told(text: str) -> str:
        return setting.sub(lambda match: f"--{option_of(match[1] or match[2])}", text)

    what, where, expected, remedy = map(told, (error.what, error.where, error.expected, error.remedy))
    return UserError(what, where=where, expected=expected, remedy=remedy)


def option_of(setting: str) -> str:
    """Return what the option of a setting is called, without the dashes."""
    return _OPTIONS.get(setting, setting.replace("_", "-"))


def limits(option: str, given: list[str] | None) -> dict[str, int]:
    """Return the limits that an option was given, by field; ``*`` is every field."""
    found = {}
    for text in given or ():
        field, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise UserError(f'{option} is "{text}"', expected="a whole number, or FIELD=NUMBER")
        found[field or "*"] = int(number)
    return found
