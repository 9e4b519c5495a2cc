"""Shorter conversations in the text of a longer one: one rendering, where the template reads each message as it comes.

The loop through the messages is marked when a template is compiled; while it runs, messages note which of them were
read. What was written up to the end of a round without a look at later messages is the text of the messages so far.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, overload

from jinja2 import nodes

from tunelab.rendering.templates.limit_checks import call_of
from tunelab.rendering.tokens.marked_text import Marked

Message = Mapping[str, object]

FLAG = "add_generation_prompt"
_UNKNOWN = cast(type[nodes.Node], (nodes.Block, nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """A conversation's text and the shorter conversations in it."""

    text: Marked
    opening: str
    """What the template writes after any of its beginnings if a generation prompt is requested."""
    ends: Mapping[int, int]
    """Number of first messages -> length of their text; holds only what is proven."""


class LooksAheadError(Exception):
    """A template read what comes last before it had written the first message."""


def mark_rounds(tree: nodes.Template) -> bool:
    """Write calls of the environment's `log` into the last loop of a parsed template; tell whether it proves prefixes.

    It does if only the opening of the assistant's turn follows it, and that is the same after any message.
    """
    place = max((place for place, node in enumerate(tree.body) if isinstance(node, nodes.For)), default=-1)
    if place < 0 or tree.find(_UNKNOWN) is not None:
        return False
    loop, after = cast(nodes.For, tree.body[place]), tree.body[place + 1 :]
    stored = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    stored |= {macro.name for macro in tree.find_all(nodes.Macro)}
    if loop.recursive or loop.test or FLAG in _names(tree.body[: place + 1]) | stored:
        return False
    if not all(map(_only_opens, after)) or _names(after) & {*stored, "messages"}:
        return False
    line = loop.lineno
    loop.iter = call_of("rounds", [cast(nodes.Expr, loop.iter)], line)
    loop.body.insert(0, nodes.ExprStmt(call_of("round_begins", [], line), lineno=line))
    loop.body.append(nodes.ExprStmt(call_of("round_ends", [], line), lineno=line))
    tree.body.insert(place + 1, nodes.ExprStmt(call_of("loop_ends", [], line), lineno=line))
    return True


def _names(some: Sequence[nodes.Node]) -> set[str]:
    return {name.name for name in nodes.Template([*some]).find_all(nodes.Name)}


def _only_opens(node: nodes.Node) -> bool:
    """Whether a statement writes nothing unless a generation prompt is requested."""
    if isinstance(node, nodes.If):
        return isinstance(node.test, nodes.Name) and node.test.name == FLAG and not (node.elif_ or node.else_)
    return isinstance(node, nodes.Output) and all(
        isinstance(part, nodes.TemplateData) and not part.data for part in node.nodes
    )


@dataclass(slots=True)
class ReadLog:
    """What a template wrote and read so far, while it runs."""

    size: int = 0
    """Characters written."""
    saw_end: bool = False
    """Whether it read something that more messages would change."""
    reach: int = -1
    """Index of the last message that it read, or learnt of."""
    ends: dict[int, int] = field(default_factory=dict)
    """As in `Prefixes`."""
    loop_end: int = 0
    """Characters written before the opening."""
    _place: int | None = None
    """Index of the message of this round; None while nothing is to be proven."""

    def rounds(self, items: Any) -> Any:
        """Return what the marked loop goes through."""
        if self.saw_end:
            raise LooksAheadError
        self._place = items._start - 1 if isinstance(items, LoggedMessages) else None
        return items

    def round_begins(self) -> None:
        """Note that the next message is at hand."""
        if self._place is not None:
            self._place += 1

    def round_ends(self) -> None:
        """Note how long the text is, if the messages so far prove it."""
        if self._place is None:
            return
        if not self.saw_end and self.reach <= self._place:
            self.ends[self._place + 1] = self.size
        elif self.saw_end and not self.ends:
            raise LooksAheadError

    def loop_ends(self) -> None:
        """Note that nothing but the opening follows."""
        self.loop_end = self.size


class LoggedMessages(Sequence[Message]):
    """The messages from `start` up to the first `end`; every way to them goes through here, or fails."""

    def __init__(self, log: ReadLog, messages: Sequence[Message], start: int, end: int) -> None:
        self._log, self._messages, self._start, self._end = log, messages, start, end

    @overload
    def __getitem__(self, key: int) -> Message: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Message]: ...
    def __getitem__(self, key: int | slice) -> Message | Sequence[Message]:
        if isinstance(key, slice):
            if key.step is None and key.stop is None and isinstance(key.start, int) and key.start >= 0:
                return LoggedMessages(self._log, self._messages, min(self._start + key.start, self._end), self._end)
        elif 0 <= key < self._end - self._start:
            self._note(self._start + key)
            return self._messages[self._start + key]
        return self.all()[key]

    def __iter__(self) -> Iterator[Message]:
        for place in range(self._start, self._end):
            self._note(place)
            yield self._messages[place]
        self._log.saw_end = True

    def __len__(self) -> int:
        return len(self.all())

    def __bool__(self) -> bool:
        if self._start < self._end:
            self._note(self._start)
            return True
        return bool(self.all())

    def __repr__(self) -> str:
        return repr(self.all())

    def __eq__(self, other: object) -> bool:
        return self.all() == (other.all() if isinstance(other, LoggedMessages) else other)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def all(self) -> list[Message]:
        """Return them as a list, in which nothing is noted any more."""
        self._log.saw_end = True
        return [*self._messages[self._start : self._end]]

    def _note(self, place: int) -> None:
        self._log.reach = max(self._log.reach, place)
