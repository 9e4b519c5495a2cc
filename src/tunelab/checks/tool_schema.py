"""The JSON Schema of a tool's arguments, and in words what is wrong with a call that is not so.

Schemas come with the data. They fetch nothing, run no regular expression that could take forever, and give up on
references that multiply.
"""

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import polars as pl
from jsonschema import Draft7Validator, Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from tunelab.conversations.conversation import ToolCall
from tunelab.errors import counted, guess
from tunelab.sources import kind_of

MAX_REFERENCES = 10_000
"""References that the check of one call follows at most."""

_OBJECT_WORDS = {"type", "properties", "required", "$ref", "allOf", "anyOf", "oneOf", "additionalProperties"}
# They would hand the work to a validator, or to Python's regular expressions, that know no bound.
_UNCHECKED = ("patternProperties", "$dynamicRef", "$recursiveRef", "$schema")


class Arguments:
    """What a tool takes: the JSON Schema of its arguments, compiled once."""

    def __init__(self, parameters: object) -> None:
        self.fault = _fault(parameters)
        """Why no argument can be checked against it; empty where they can."""
        schema = parameters if isinstance(parameters, Mapping) and not self.fault else {}
        self._schema = {word: value for word, value in schema.items() if word != "$schema"}
        # An empty registry knows no address: a reference out of the schema is a fault and no request.
        self._validator = _Validator(self._schema, registry=Registry()) if self._schema else None

    def wrong_with(self, call: ToolCall) -> str:
        """Return what is wrong with the arguments of a call, in words without their values; empty where nothing is."""
        if self._validator is None:
            return ""
        arguments = dict(call.arguments)
        _references_left.set(MAX_REFERENCES)
        try:
            first = next(self._validator.iter_errors(arguments), None)
        except Exception as error:  # a schema is foreign code: references to nowhere, patterns that are none
            self.fault, self._validator = f"cannot be applied ({_first_line(error)})", None
            return ""
        return self._unknown(arguments) if first is None else _in_words(first)

    def _unknown(self, arguments: Mapping[str, object]) -> str:
        """Return a word on an argument that the schema does not name, where it names some and is silent on others."""
        named = self._schema.get("properties")
        if not isinstance(named, Mapping) or not named or set(self._schema) & {"additionalProperties", "$ref", "allOf"}:
            return ""
        stranger = next((name for name in arguments if name not in named), None)
        return "" if stranger is None else f'the tool has no argument "{stranger}". {guess(stranger, named)}'.strip()


_references_left = ContextVar("references_left", default=MAX_REFERENCES)


def _references(validator: Any, reference: str, instance: object, schema: object) -> Iterator[ValidationError]:
    _references_left.set(left := _references_left.get() - 1)
    if left < 0:
        raise RecursionError(f"more than {MAX_REFERENCES:,} references")
    yield from validator._validate_reference(ref=reference, instance=instance)


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[ValidationError]:
    # The engine of polars takes linear time for any pattern; Python's can take forever.
    if isinstance(instance, str) and not pl.Series([instance]).str.contains(pattern).item():
        yield ValidationError("does not match")


_Validator: Any = extend(Draft202012Validator, {"$ref": _references, "pattern": _pattern})


def _fault(parameters: object) -> str:
    if parameters is None or parameters == {}:
        return ""
    if not isinstance(parameters, Mapping):
        return f"is {kind_of(parameters)} and no JSON Schema"
    if not _OBJECT_WORDS & parameters.keys():
        return "is none: it has neither type nor properties"
    if parameters.get("type", "object") != "object":
        return "is not that of an object"
    try:
        Draft7Validator.check_schema(parameters)  # the later draft's own schema takes four times as long to apply
    except SchemaError as error:
        return f"is none: {'.'.join(map(str, error.absolute_path)) or 'it'} breaks the rules of JSON Schema"
    except Exception as error:  # nested too deeply to be looked at
        return f"cannot be read ({_first_line(error)})"
    inside = repr({word: value for word, value in parameters.items() if word != "$schema"})
    unchecked = next((word for word in _UNCHECKED if f"'{word}'" in inside), None)
    return "" if unchecked is None else f"uses {unchecked}, with which arguments are not checked here"


def _in_words(error: ValidationError) -> str:
    path = ".".join(map(str, error.absolute_path))
    seen: Any = error.instance
    required: Any = error.validator_value
    if error.validator == "required":
        missing = [name for name in required if name not in seen]
        inside = f" in {path}" if path else ""
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing{inside}"
    if error.validator == "type":
        kinds = required if isinstance(required, str) else " or ".join(map(str, required))
        return f"{path or 'it'} is {kind_of(seen)}, and the schema requires {kinds}"
    if error.validator == "enum":
        return f"{path} is none of the {counted(len(required), 'allowed value')}"
    if error.validator == "additionalProperties":
        named = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        stranger = next((name for name in seen if name not in named), "")
        inside = f"{path} has" if path else "the tool has"
        return f'{inside} no argument "{stranger}". {guess(stranger, named)}'.strip()
    return f"{path or 'it'} breaks the rule {error.validator} of the schema"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
