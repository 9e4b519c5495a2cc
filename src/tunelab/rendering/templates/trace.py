"""The rounds of a loop that were run, as far as they still hold for a longer conversation."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Undefined
from jinja2.runtime import Macro
from jinja2.utils import Namespace

from tunelab.rendering.templates.loop_bodies import Loop
from tunelab.rendering.templates.recorded_messages import Comparison, Key, Watch, Watched, num_items

_MISSING = object()
_NONE_BELOW, _NONE_ABOVE = -(2**62), 2**62
Value = tuple[Key, object]


class Trace:
    """What the rounds of one loop wrote, and what it depends on.

    Args:
        loop: whose rounds they are.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.texts: list[str] = []
        """Of the rounds that hold."""
        self._states: list[list[object]] = []
        """What the attributes that the loop sets held before each round, and behind the last."""
        self._saw_end: list[int] = []
        """Rounds that hold for this number of messages alone, ascending."""
        self._items: Sequence[object] = ()
        self._start: list[Value] = []
        self._limits = {key: _Limits() for key in loop.compared}
        self._set_by_loop: list[tuple[dict[str, object], str]] = []

    def begin(self, items: Sequence[object], variables: Mapping[str, object], given: Mapping[str, object]) -> None:
        """Forget the rounds that do not hold, and bring the namespaces to where the next one begins.

        Args:
            items: what the loop goes through.
            variables: what the template can read.
            given: those of them that are the same each time.
        """
        start = [
            (key, _value(variables, key))
            for key in self._loop.exact
            if key[0] not in given or variables.get(key[0]) is not given[key[0]]
        ]
        numbers: dict[Key, int] = {}
        for key in self._loop.compared:
            value = _value(variables, key)
            if type(value) is int:
                numbers[key] = value
            else:
                start.append((key, value))
        self._set_by_loop = [
            (attributes_of(space), attribute)
            for name, attribute in self._loop.assigned
            if isinstance(space := variables.get(name), Namespace)
        ]
        state = self._state()
        start += [(key, _value(variables, key)) for key in self._loop.assigned]
        holds = _continues(self._items, items) and _alike(self._start, start)
        num_held = min(len(self.texts), num_items(items), *self._saw_end[:1]) if holds else 0
        for key, limits in self._limits.items():
            num_held = min(num_held, limits.num_held(numbers.get(key), num_held))
        self._cut(num_held)
        self._items, self._start = items, start
        if not num_held:
            self._states = [state]
        for (attributes, name), value in zip(self._set_by_loop, self._states[num_held], strict=True):
            if value is _MISSING:
                attributes.pop(name, None)
            else:
                attributes[name] = value

    def add(self, text: str, watch: Watch) -> None:
        """Take in the round that was run."""
        if watch.saw_end:
            self._saw_end.append(len(self.texts))
        for key, limits in self._limits.items():
            limits.add([each for each in watch.compared if each.key == key])
        self.texts.append(text)
        self._states.append(self._state())

    def _cut(self, num_held: int) -> None:
        del self.texts[num_held:], self._states[num_held + 1 :]
        self._saw_end = [place for place in self._saw_end if place < num_held]
        for limits in self._limits.values():
            limits.cut(num_held)

    def _state(self) -> list[object]:
        return [attributes.get(name, _MISSING) for attributes, name in self._set_by_loop]


class _Limits:
    """Which numbers in the place of one that was only compared leave the rounds as they are."""

    def __init__(self) -> None:
        self._value: int | None = None
        self._lowest: list[int] = []
        self._highest: list[int] = []
        """Each together with those of the rounds before; the highest negative, so that both ascend."""
        self._unequal: dict[int, int] = {}
        """Number -> the first round that would be another with it."""

    def num_held(self, value: int | None, num_rounds: int) -> int:
        """Return how many rounds hold for a value, from now on."""
        was, self._value = self._value, value
        if value is None or value == was:
            return num_rounds
        places = bisect_right(self._lowest, value), bisect_right(self._highest, -value)
        return min(*places, self._unequal.get(value, num_rounds))

    def add(self, comparisons: Sequence[Comparison]) -> None:
        """Take in what a round compared."""
        lowest = self._lowest[-1] if self._lowest else _NONE_BELOW
        highest = -self._highest[-1] if self._highest else _NONE_ABOVE
        for each in comparisons:
            other, told = each.other, each.operator
            if type(other) is not int:
                lowest, highest = _NONE_ABOVE, _NONE_BELOW
            elif told in ("eq", "ne"):
                if each.result is (told == "eq"):
                    lowest, highest = max(lowest, other), min(highest, other)
                else:
                    self._unequal.setdefault(other, len(self._lowest))
            elif told in ("gt", "gteq"):
                edge = other + (told == "gt")
                lowest, highest = (max(lowest, edge), highest) if each.result else (lowest, min(highest, edge - 1))
            else:
                edge = other - (told == "lt")
                lowest, highest = (lowest, min(highest, edge)) if each.result else (max(lowest, edge + 1), highest)
        self._lowest.append(lowest)
        self._highest.append(-highest)

    def cut(self, num_held: int) -> None:
        """Forget all rounds but the first ones."""
        del self._lowest[num_held:], self._highest[num_held:]
        self._unequal = {value: place for value, place in self._unequal.items() if place < num_held}


def _value(variables: Mapping[str, object], key: Key) -> object:
    name, attribute = key
    holder = variables.get(name, _MISSING)
    if not isinstance(holder, Namespace):
        return holder
    attributes = attributes_of(holder)
    return attributes.get(attribute, _MISSING) if attribute else [*attributes.items()]


def attributes_of(space: Namespace) -> dict[str, object]:
    """Return what a namespace holds; jinja2 offers no way to look for an attribute that may be missing."""
    held: dict[str, object] = space._Namespace__attrs
    return held


def _continues(old: Sequence[object], new: Sequence[object]) -> bool:
    """Whether what was gone through begins what is gone through now, or the other way round."""
    if isinstance(old, Watched) and isinstance(new, Watched):
        return old.start == new.start
    return isinstance(old, range) and isinstance(new, range) and (old.start, old.step) == (new.start, new.step)


def _alike(one: Any, other: Any) -> bool:
    """Whether no template can tell two values apart; False where that is not sure."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, str | int):
        return bool(one == other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, Watched):
        return bool(one.start == other.start)
    if isinstance(one, Macro):
        return bool(one._func.__code__ is other._func.__code__)
    return isinstance(one, Undefined)
