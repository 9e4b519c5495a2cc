"""Flags that are the settings of a recipe by other names: made from their config classes, read back into them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tunelab.errors import UserError
from tunelab.settings import kinds_of, marks_of, meaning_of

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound=Callable[..., None])
Config = TypeVar("Config", bound="BaseModel")


class SettingFlags:
    """The flags of some configs: those of their settings that are marked with one.

    Args:
        configs: the classes.
        section: that of the recipe whose values they replace; a flag that is not given is None then.
        without: settings whose flags the command does not take, or declares itself.
    """

    def __init__(self, *configs: type[BaseModel], section: str = "", without: Collection[str] = ()) -> None:
        every = {name: field for config in configs for name, field in config.model_fields.items()}
        self._fields = {
            name: field for name, field in every.items() if "flag" in marks_of(field) and name not in without
        }
        self._section = section

    def added_to(self, command: Command) -> Command:
        """Return a command that takes these flags, too, as keyword arguments called like the settings.

        In its help they come after its positional parameters and before its own keyword-only ones.
        """
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        last = [each for each in own if each.kind is each.KEYWORD_ONLY]
        flags = [self._parameter(name, field) for name, field in self._fields.items()]
        parameters = [*own[: len(own) - len(last)], *flags, *last]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    def read(self, config: type[Config], given: Mapping[str, Any]) -> Config:
        """Return the settings of one config; an error names the flag."""
        from pydantic import ValidationError

        values = {
            name: _limits(self.flag_of(name), value) if kinds_of(self._fields[name].annotation) == {dict} else value
            for name, value in given.items()
            if name in config.model_fields and value not in (None, [])
        }
        try:
            return config.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            flag = self.flag_of(str(first["loc"][0]))
            expected = re.sub(r"^(Input should be |String should have |Value error, )", "", first["msg"])
            expected = expected.replace("'keep', ", "").replace("'", "")
            shown = json.dumps(first["input"], ensure_ascii=False)
            if expected.startswith(("is no", "is a", "names")):  # a clause of its own
                raise self.named_in(UserError(f"{flag} {shown} {expected}")) from None
            raise self.named_in(UserError(f"{flag} is {shown}", expected=expected)) from None

    def named_in(self, error: UserError) -> UserError:
        """Return an error that names flags where it named settings; text in quotes is the user's own."""
        parts = map(self._named_in_text, (error.what, error.where, error.expected, error.remedy))
        what, where, expected, remedy = parts
        return UserError(what, where=where, expected=expected, remedy=remedy)

    def flag_of(self, setting: str) -> str:
        """Return the flag of a setting, with its dashes."""
        return marks_of(self._fields[setting])["flag"].partition(" ")[0]

    def _named_in_text(self, text: str) -> str:
        plain = "|".join(name for name in self._fields if "_" in name)
        words = "|".join(name for name in self._fields if "_" not in name)  # elsewhere they are words like others
        setting = re.compile(rf'(?<![\w".-])(?:data\.)?({plain})(?![\w"])|(?:^|(?<=or ))({words})(?![\w"])')
        return setting.sub(lambda match: self.flag_of(match[1] or match[2]), text)

    def _parameter(self, name: str, field: FieldInfo) -> inspect.Parameter:
        flag, _, metavar = marks_of(field)["flag"].partition(" ")
        (kind,) = kinds_of(field.annotation) - {type(None)}
        repeats = kind in (tuple, dict)
        default = None if repeats or self._section else field.default
        recipes = f" Default: the recipe's {self._section}.{name}." if self._section else ""
        option = typer.Option(
            default,
            flag,
            metavar=metavar or None,
            help=self._named_in_text(meaning_of(field)) + " Repeatable." * repeats + recipes,
            min=next((limit.ge for limit in field.metadata if hasattr(limit, "ge")), None),
            max=next((limit.le for limit in field.metadata if hasattr(limit, "le")), None),
        )
        annotation = list[str] | None if repeats else kind if default is not None else kind | None
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def _limits(flag: str, given: Sequence[str]) -> dict[str, int]:
    """Return the limits that a flag was given, by field; ``*`` is every field."""
    found = {}
    for text in given:
        field, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise UserError(f'{flag} is "{text}"', expected="a whole number, or FIELD=NUMBER")
        found[field or "*"] = int(number)
    return found
