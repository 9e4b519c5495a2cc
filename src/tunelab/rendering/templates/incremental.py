"""A conversation rendered message by message: every beginning of it as the template writes it, little of it run twice.

What a round of a loop writes depends on its message, on what it read of others, and on what variables held. Where a
longer conversation gives it the same to read, its text stands. What a round asked of the end (`loop.last`, how many
messages there are) holds for that number alone; in the place of a number that it only compared, any other will do that
compares alike: the place of the last question moves on with each question, and an old answer still stands before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.runtime import Context

from tunelab.rendering.templates.limits import refuse_above
from tunelab.rendering.templates.loop_bodies import FLAG, ITEMS, LOOP, Loop, Part, Root, Straight
from tunelab.rendering.templates.recorded_messages import Message, Round, Watch, Watched, num_items
from tunelab.rendering.templates.trace import Trace
from tunelab.rendering.tokens.marked_text import Marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A conversation's text and the shorter conversations in it."""

    text: Marked
    opening: str
    """What the template writes behind any of its beginnings where a generation prompt is asked for."""
    ends: Mapping[int, int]
    """Number of first messages -> length of their text; holds only what is proven."""


class Walk:
    """One conversation, from its first message on.

    Args:
        parts: of the template.
        environment: of the template, with `clock` and `tick`.
        given: what the template may read beside the messages.
        messages: of the whole conversation.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        environment: Any,
        given: Mapping[str, object],
        messages: Sequence[Message],
    ) -> None:
        self._parts, self._environment = parts, environment
        self._given, self._messages = given, messages
        self._traces: dict[tuple[int, bool], Trace] = {}

    def anew(self) -> "Walk":
        """Return another way through the same conversation, from its first message on."""
        return Walk(self._parts, self._environment, self._given, self._messages)

    def text(self, num_messages: int, *, add_generation_prompt: bool) -> str:
        """Return the text of the first messages; each time of no fewer than the time before.

        Raises:
            Exception: whatever the template raises.
        """
        watch = Watch()
        messages = Watched(watch, self._messages, 0, num_messages)
        variables = {**self._given, "messages": messages, FLAG: add_generation_prompt}
        pieces: list[str] = []
        with self._environment.clock(watch):
            for place, part in enumerate(self._parts):
                if isinstance(part, Loop):
                    key = place, add_generation_prompt and part.reads_flag
                    trace = self._traces[key] = self._traces.get(key) or Trace(part)
                    self._go_through(part, trace, variables, watch)
                    pieces += trace.texts
                else:
                    pieces.append(self._straight(part, variables, watch))
        refuse_above(sum(map(len, pieces)))
        return "".join(pieces)

    def steps(self) -> Steps | None:
        """Return the text of all messages, and which beginnings of it are the texts of fewer; None where nothing tells.

        Raises:
            Exception: whatever the template raises.
        """
        before, loop, *rest, behind = self._parts
        if rest or not (isinstance(before, Straight) and isinstance(loop, Loop) and isinstance(behind, Straight)):
            return None  # several loops go through the messages
        watch = Watch()
        variables = {**self._given, "messages": Watched(watch, self._messages, 0, len(self._messages))}
        with self._environment.clock(watch):
            texts = [self._straight(before, variables, watch)]
            items, made = variables.pop(ITEMS), variables.keys() - self._given.keys()
            looks_ahead = watch.saw_end or loop.reads_flag or FLAG in before.reads
            if looks_ahead or not isinstance(items, Watched) or behind.reads & made:
                return None
            ends, size = {}, len(texts[0])
            for index in range(items.num):
                texts.append(self._round(loop, items, index, variables, watch))
                if watch.saw_end:
                    break
                size += len(texts[-1])
                if watch.reach <= items.start + index:
                    ends[items.start + index + 1] = size
            closing, opening = (self._straight(behind, {**variables, FLAG: flag}, watch) for flag in (False, True))
        return None if closing else Steps(text=Marked("".join(texts)), opening=opening, ends=ends)

    def _straight(self, part: Straight, variables: dict[str, object], watch: Watch) -> str:
        """Return what a part writes; what it makes is put to the variables."""
        context = Context(self._environment, variables, None, {})
        text = written(part.run, context, watch, self._environment.tick)
        variables.update(context.vars)
        return text

    def _round(
        self, loop: Loop, items: Sequence[object], index: int, variables: dict[str, object], watch: Watch
    ) -> str:
        inside = {**variables, loop.target: items[index], LOOP: Round(items, index, watch)}
        return written(loop.run, Context(self._environment, inside, None, {}), watch, self._environment.tick)

    def _go_through(self, loop: Loop, trace: Trace, variables: dict[str, object], watch: Watch) -> None:
        items = variables.pop(ITEMS)
        if not isinstance(items, Watched | range):
            items = [*items]  # type: ignore[misc]
        trace.begin(items, variables, self._given)
        for index in range(len(trace.texts), num_items(items)):
            watch.saw_end, watch.compared = False, []
            trace.add(self._round(loop, items, index, variables, watch), watch)


def written(root: Root, context: Context, watch: Watch, tick: Callable[[], None]) -> str:
    """Return what a template writes, and count it."""
    texts = []
    for text in root(context):
        tick()
        watch.size += len(text)
        refuse_above(watch.size)
        texts.append(text)
    return "".join(texts)
