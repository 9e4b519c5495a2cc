"""Messages that note what is asked of them, and the `loop` of a round that does."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from jinja2 import Undefined

Message = Mapping[str, object]
Key = tuple[str, str]
"""A name and an attribute of the namespace it holds; the attribute is empty where the name itself is meant."""

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_MIRRORED = {"lt": "gt", "gt": "lt", "lteq": "gteq", "gteq": "lteq", "eq": "eq", "ne": "ne"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a template was told of an attribute of a namespace."""

    key: Key
    operator: str
    """Of jinja2: `eq`, `ne`, `lt`, `lteq`, `gt`, `gteq`."""
    other: object
    """What stood behind the operator; the attribute stood before it."""
    value: object
    result: object


@dataclass(slots=True)
class Watch:
    """Notes what a template asks while it runs."""

    size: int = 0
    """Characters written so far; kept by who runs it."""
    saw_end: bool = False
    """Whether it asked for what more messages would answer otherwise."""
    reach: int = -1
    """Index of the last message that it read, or learnt of."""
    compared: list[Comparison] = field(default_factory=list)

    def compare(self, operator: str, left: Any, right: Any, name: str, attribute: str, is_left: bool) -> Any:
        """Return what a comparison comes to, and note it."""
        result = _COMPARE[operator](left, right)
        if not is_left:
            left, right, operator = right, left, _MIRRORED[operator]
        self.compared.append(
            Comparison(key=(name, attribute), operator=operator, other=right, value=left, result=result)
        )
        return result


class Watched(Sequence[Message]):
    """The messages from `start` up to the first `num_messages`; every way to them goes through here, or fails."""

    def __init__(self, watch: Watch, messages: Sequence[Message], start: int, num_messages: int) -> None:
        self._watch, self._messages, self.start, self._end = watch, messages, start, num_messages

    @overload
    def __getitem__(self, key: int) -> Message: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Message]: ...
    def __getitem__(self, key: int | slice) -> Message | Sequence[Message]:
        if isinstance(key, slice):
            if key.step is None and key.stop is None and isinstance(key.start, int) and key.start >= 0:
                return Watched(self._watch, self._messages, min(self.start + key.start, self._end), self._end)
            self._watch.saw_end = True
            return self._messages[self.start : self._end][key]
        if 0 <= key < self._end - self.start:
            self.note(key)
            return self._messages[self.start + key]
        self._watch.saw_end = True
        return self._messages[self.start : self._end][key]

    def __iter__(self) -> Iterator[Message]:
        for place in range(self.start, self._end):
            self._watch.reach = max(self._watch.reach, place)
            yield self._messages[place]
        self._watch.saw_end = True

    def __len__(self) -> int:
        self._watch.saw_end = True
        return self.num

    def __bool__(self) -> bool:
        if not self.num:
            self._watch.saw_end = True
            return False
        self.note(0)
        return True

    def __repr__(self) -> str:
        return repr([*self])

    def __eq__(self, other: object) -> bool:
        return [*self] == ([*other] if isinstance(other, Watched) else other)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def places(self, start: int) -> Iterator[int]:
        """Yield the places of the messages from `start` on."""
        for key in range(start, self.num):
            self.note(key)
            yield key
        self._watch.saw_end = True

    def note(self, key: int) -> None:
        """Note that a message is known to be there."""
        self._watch.reach = max(self._watch.reach, self.start + key)

    @property
    def num(self) -> int:
        """How many messages there are; who asks is not noted."""
        return self._end - self.start


class Round:
    """What the body of a loop reads of `loop`.

    Args:
        items: what the loop goes through.
        index0: place of the round.
    """

    depth, depth0 = 1, 0

    def __init__(self, items: Sequence[object], index0: int, watch: Watch) -> None:
        self._items, self.index0, self._watch = items, index0, watch
        self.index = index0 + 1
        self.first = index0 == 0

    @property
    def last(self) -> bool:
        """Whether no other round follows."""
        if self.index == num_items(self._items):
            self._watch.saw_end = True
            return True
        if isinstance(self._items, Watched):
            self._items.note(self.index)
        return False

    @property
    def length(self) -> int:
        """How many rounds there are."""
        self._watch.saw_end = True
        return num_items(self._items)

    @property
    def revindex(self) -> int:
        """How many rounds there are from this one on."""
        return self.length - self.index0

    @property
    def revindex0(self) -> int:
        """How many rounds follow."""
        return self.length - self.index

    @property
    def previtem(self) -> object:
        """The item of the round before."""
        return Undefined("there is no previous item") if self.first else self._items[self.index0 - 1]

    @property
    def nextitem(self) -> object:
        """The item of the round behind."""
        return Undefined("there is no next item") if self.last else self._items[self.index]


def num_items(items: Sequence[object]) -> int:
    """Return how many items there are; who asks is not noted."""
    return items.num if isinstance(items, Watched) else len(items)
