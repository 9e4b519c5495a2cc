"""How much a chat template may ask for: what things weigh, and a word to refuse what would weigh too much.

The weight of a text is its length; that of a list or mapping the weight of all that is written where it is written,
so a list that holds one other list twice weighs twice as much. Each function here looks before the work is done.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2.exceptions import SecurityError

MAX_TEXT_CHARS = 20_000_000
_MAX_NUMBER = 100_000  # no width, count or exponent of a chat template comes near it
_MAX_BITS = 100_000
_NUMBER = re.compile(r"\d+")
_NEVER_NEEDED = ("pprint", "random", "urlize", "wordwrap")
"""Filters that take minutes over a long text, or give another one each time."""
_GATHERING = ("dictsort", "groupby", "list", "max", "min", "reverse", "sort", "string", "sum", "unique")
_SWELLING = (
    "batch",
    "center",
    "format",
    "indent",
    "join",
    "replace",
    "round",
    "slice",
    "tojson",
    "truncate",
    "urlencode",
)
"""These two kinds of filters are looked at; the others are too cheap for that."""
UNSAFE_METHODS = frozenset({"expandtabs", "translate", "maketrans", "format_map"})
"""Of texts: their length is not known beforehand, and no chat template needs them."""


class TemplateLimitError(SecurityError):
    """A template ran too long or needs too much."""


def refuse_above(size: int, limit: int = MAX_TEXT_CHARS) -> None:
    """Raise a TemplateLimitError for a size above the limit."""
    if size > limit:
        raise TemplateLimitError(f"it needs {size:,}, and {limit:,} is the limit")


def bounded(value: Any) -> Any:
    """Return `value`, or refuse it for its weight."""
    if isinstance(value, str):
        refuse_above(len(value))
    elif isinstance(value, (list, tuple, dict)):
        weight(value)
    return value


def weight(value: object) -> int:
    """Return how many characters and things would be written if `value` were; refuses more than the limit."""
    found = _weight(value, {})
    refuse_above(found)
    return found


def _weight(value: object, known: dict[int, int]) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        parts: Sequence[object] = [*value, *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = [*value]
    else:
        return 1 + (value.bit_length() >> 3 if isinstance(value, int) else 0)
    if (found := known.get(id(value))) is None:
        known[id(value)] = 0
        found = known[id(value)] = 1 + sum(_weight(part, known) for part in parts)
    return found


def refuse_binop(operator: str, left: Any, right: Any) -> None:
    """Refuse a product, a power or a format that swells."""
    if operator == "*" and isinstance(left, int) and isinstance(right, int):
        refuse_above(left.bit_length() + right.bit_length(), _MAX_BITS)
    elif operator == "*":
        for value, times in ((left, right), (right, left)):
            if isinstance(value, (str, list, tuple)) and isinstance(times, int):
                refuse_above(weight(value) * times)
    elif operator == "**":
        _refuse_numbers([left, right])
    elif isinstance(left, str):
        _refuse_format(left, right if isinstance(right, (tuple, dict)) else (right,))


def refuse_method(name: str, text: str, values: Sequence[Any]) -> None:
    """Refuse a call of a text's method that swells."""
    _refuse_numbers(values)
    if name == "join" and values:
        _refuse_join(values[0], text)
    elif name == "format":
        _refuse_format(text, values)
    elif name == "replace":
        _refuse_replace([text, *values])


def guarded(filters: Mapping[str, Callable[..., Any]], tick: Callable[[], None]) -> dict[str, Callable[..., Any]]:
    """Return jinja's filters; those that could swell check the clock and the requested size first."""
    return {
        name: _guarded(name, function, tick) if name in (*_GATHERING, *_SWELLING) else function
        for name, function in filters.items()
        if name not in _NEVER_NEEDED
    }


def _guarded(name: str, function: Callable[..., Any], tick: Callable[[], None]) -> Callable[..., Any]:
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # some are handed the context before the value

    @wraps(function)  # jinja marks those with an attribute
    def limited(*args: Any, **kwargs: Any) -> Any:
        tick()
        values = [metered(value, tick) for value in args[first:]]
        if name == "join" and values:
            values[0] = [*values[0]] if isinstance(values[0], Iterator) else values[0]
        _refuse_filter(name, [*values, *kwargs.values()])
        return function(*args[:first], *values, **kwargs)

    return limited


def metered(value: Any, tick: Callable[[], None]) -> Any:
    """Return `value`; where it is made piece by piece, the pieces are weighed on the way."""
    return _metered(value, tick) if isinstance(value, Iterator) else value


def _metered(values: Iterator[Any], tick: Callable[[], None]) -> Iterator[Any]:
    total = 0
    for value in values:
        tick()
        total += weight(value)
        refuse_above(total)
        yield value


def _refuse_filter(name: str, values: Sequence[Any]) -> None:
    _refuse_numbers(values[1:])
    if name == "join":
        _refuse_join(values[0], values[1] if len(values) > 1 else "")
    elif name == "format":
        _refuse_format(str(values[0]), values[1:])
    elif name == "replace":
        _refuse_replace(values)
    elif name == "indent":
        texts = [value for value in values if isinstance(value, str)]
        widths = [
            value if isinstance(value, int) else len(value) for value in values[1:] if isinstance(value, int | str)
        ]
        refuse_above((1 + sum(map(str.count, texts[:1], "\n"))) * max(widths, default=1))
    elif name in ("batch", "slice"):
        refuse_above(sum(map(weight, values[2:])) * max([1, *(each for each in values[1:2] if isinstance(each, int))]))
    elif name == "tojson":
        indents = [each for each in values[1:] if isinstance(each, int)]
        refuse_above(weight(values[0]) * max([1, *indents]))
    elif name == "sum" and any(isinstance(each, (list, tuple)) for each in values[1:]):
        raise TemplateLimitError("it sums lists")
    elif name in ("string", "list", "center"):
        weight(values[0])


def _refuse_numbers(values: Sequence[Any]) -> None:
    for number in values:
        if isinstance(number, int):
            refuse_above(abs(number), _MAX_NUMBER)


def _refuse_join(parts: Any, separator: Any) -> None:
    if isinstance(parts, (str, list, tuple, dict)):
        refuse_above(weight(parts) + len(parts) * (len(separator) if isinstance(separator, str) else 1))


def _refuse_replace(values: Sequence[Any]) -> None:
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) >= 3:
        refuse_above(texts[0].count(texts[1]) * len(texts[2]))


def _refuse_format(text: str, values: Any) -> None:
    """Refuse a format of which each placeholder could be as long as the longest value, or as wide as a number says."""
    parts = list(values.values()) if isinstance(values, dict) else list(values)
    if "%*" in text or "{:{" in text:
        _refuse_numbers(parts)
    widths = [int(digits[:20]) for digits in _NUMBER.findall(text)]
    _refuse_numbers(widths if "%" in text or "{" in text else [])
    longest = max([*map(weight, parts), *widths, 1])
    refuse_above(len(text) + (text.count("%") + text.count("{")) * longest)
