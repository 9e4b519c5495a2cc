"""Which beginnings of a rendered conversation are the texts of shorter conversations, proven while it is rendered.

A template is handed messages that note which of them it has read. If nothing that was written for the first n messages
came from reading a later one, or from asking how many there are, the same text is written for these n alone. Where a
template looks ahead (`loop.last`, `messages[-1]`, a search through all messages), the beginnings that saw more than
their own messages are no proof, and those conversations are rendered one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from jinja2 import nodes

Message = Mapping[str, object]

_FLAG = "add_generation_prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A conversation's text and the shorter conversations in it."""

    text: str
    """Of all messages, without a generation prompt."""
    opening: str
    """What the template writes behind any of its beginnings where a generation prompt is asked for."""
    ends: Mapping[int, int]
    """Number of first messages -> length of their text; holds only what is proven."""


def message_loop(tree: nodes.Template) -> nodes.For | None:
    """Return the loop that writes the messages, if only that loop and the generation prompt behind it write them."""
    loops = [node for node in tree.body if isinstance(node, nodes.For)]
    if not loops:
        return None
    loop = loops[-1]
    place = tree.body.index(loop)
    before, behind = tree.body[: place + 1], tree.body[place + 1 :]
    jumps = [*loop.find_all(nodes.Continue), *loop.find_all(nodes.Break)]
    kept = {ref.name for ref in tree.find_all(nodes.NSRef)} | {macro.name for macro in tree.find_all(nodes.Macro)}
    plain = isinstance(loop.target, nodes.Name) and not (loop.recursive or loop.else_ or jumps)
    early = any(name.name == _FLAG for node in before for name in node.find_all(nodes.Name))
    late = {name.name for node in behind for name in node.find_all(nodes.Name)}
    only_opens = all(_writes_only_an_opening(node) for node in behind)
    return loop if plain and not early and only_opens and not late & kept else None


class Watcher:
    """Notes what a template has read when it begins and ends with each message."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = _Watched(self, messages, 0)
        self.reach = -1
        """Index of the last message that was read, directly or by asking for the number of messages."""
        self.size = 0
        """Characters written so far; kept by who renders."""
        self._indices = {id(message): index for index, message in enumerate(messages)}
        self._begun: list[tuple[int, int]] = []
        self._read: list[int] = []
        self._closed: list[int] = []

    def begin(self, message: object) -> None:
        """Called by the template where it begins to write a message."""
        self._begun.append((self._indices.get(id(message), -1), self.size))

    def end(self) -> None:
        """Called by the template where it has written a message."""
        self._read.append(self.reach)

    def close(self) -> None:
        """Called by the template where all messages are written; what is read from here on decides the opening."""
        self._closed.append(self.size)
        self.reach = -1

    def steps(self, text: str) -> Steps | None:
        """Return the steps of `text`, which was written; None where the messages did not come one after another."""
        order = [index for index, _ in self._begun]
        first = order[0] if order else -1
        if first not in (0, 1) or order != list(range(first, len(self._indices))) or self.reach > 0:
            return None
        sizes = [*(size for _, size in self._begun[1:]), *self._closed]
        proven = {index + 1: size for index, size, read in zip(order, sizes, self._read, strict=True) if read <= index}
        return Steps(text=text[: sizes[-1]], opening=text[sizes[-1] :], ends=proven)


class _Watched(Sequence[Message]):
    """Messages from `start` on; every way to them goes through here, or fails."""

    def __init__(self, watcher: Watcher, messages: Sequence[Message], start: int) -> None:
        self._watcher, self._messages, self._start = watcher, messages, start

    @overload
    def __getitem__(self, key: int) -> Message: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Message]: ...
    def __getitem__(self, key: int | slice) -> Message | Sequence[Message]:
        if isinstance(key, slice):
            if key.step is None and key.stop is None and isinstance(key.start, int) and key.start >= 0:
                return _Watched(self._watcher, self._messages, self._start + key.start)
            self._read(len(self._messages))
            return self._messages[self._start :][key]
        self._read(self._start + key if key >= 0 else len(self._messages))
        return self._messages[self._start :][key] if key < 0 else self._messages[self._start + key]

    def __iter__(self) -> Iterator[Message]:
        for index in range(self._start, len(self._messages)):
            self._read(index)
            yield self._messages[index]
        self._read(len(self._messages))

    def __len__(self) -> int:
        self._read(len(self._messages))
        return max(len(self._messages) - self._start, 0)

    def __bool__(self) -> bool:
        self._read(self._start)
        return len(self._messages) > self._start

    def __repr__(self) -> str:
        return repr([*self])

    def __eq__(self, other: object) -> bool:
        return [*self] == ([*other] if isinstance(other, _Watched) else other)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def _read(self, index: int) -> None:
        self._watcher.reach = max(self._watcher.reach, min(index, len(self._messages) - 1))


def _writes_only_an_opening(node: nodes.Node) -> bool:
    """Whether a node writes nothing unless a generation prompt is asked for."""
    if isinstance(node, nodes.If):
        return not node.elif_ and not node.else_ and _needs_flag(node.test)
    if isinstance(node, nodes.Output):
        return all(isinstance(part, nodes.TemplateData) and not part.data for part in node.nodes)
    return False


def _needs_flag(test: nodes.Node) -> bool:
    if isinstance(test, nodes.And):
        return _needs_flag(test.left) or _needs_flag(test.right)
    return isinstance(test, nodes.Name) and test.name == _FLAG
