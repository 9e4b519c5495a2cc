"""A whole data set rendered, and an account of what was cut, left out or refused."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError
from tunelab.rendering.bulk.codec import restored, stored
from tunelab.rendering.bulk.pool import rendered_beside
from tunelab.rendering.rendered import Dropped, DropReason, LeftOut, Remark, Rendered, RenderedSet
from tunelab.rendering.renderer import Renderer, Turn
from tunelab.sources import Origin, refuse

_TOGETHER = 256  # conversations whose texts are encoded in one batch


def render_all(
    conversations: Sequence[Conversation],
    renderer: Renderer,
    *,
    max_length: int,
    on_too_long: Literal["cut", "drop", "refuse"] = "cut",
    on_bad: Callable[[DataError], None] = refuse,
    on_done: Callable[[int], None] = lambda done: None,
) -> RenderedSet:
    """Return the sequences of a data set, in its order.

    Much text is rendered by several processes if there are cores for them; the result is the same.
    A sequence above `max_length` loses its last tokens; an answer that would lose all of them is left out and counted.

    Args:
        conversations: messages or plain text, mixed at will.
        renderer: of the base model.
        max_length: of a sequence, prompt and completion, in tokens.
        on_too_long: cut it, leave it out (counted), or refuse the data set.
        on_bad: given each turn that the chat template refuses or does not write as a continuation of its prompt;
            the other turns go on. By default the first one ends the rendering.
        on_done: given now and then how many conversations are rendered.

    Raises:
        DataError: from `on_bad`, or a sequence is too long and `on_too_long` says refuse.
    """
    book = _Book(max_length, on_too_long)
    starts = range(0, len(conversations), _TOGETHER)
    groups = [conversations[start : start + _TOGETHER] for start in starts]
    render = partial(_stored, max_length=max_length, on_too_long=on_too_long)
    with rendered_beside(groups, renderer, render) as helpers:
        for number, (start, group) in enumerate(zip(starts, groups, strict=True)):
            if (content := helpers.take(number)) is None:
                _render(book, renderer, group, start, on_bad)
            else:
                book.add(*restored(content, group, first=start), on_bad)
            on_done(min(start + len(group) + helpers.num_ready * _TOGETHER, len(conversations)))
    return book.closed()


def _stored(
    group: Sequence[Conversation],
    renderer: Renderer,
    *,
    max_length: int,
    on_too_long: Literal["cut", "drop", "refuse"],
) -> bytes:
    """Return what a helper makes of a group, for `restored`."""
    faults: list[DataError] = []
    rendered = render_all(group, renderer, max_length=max_length, on_too_long=on_too_long, on_bad=faults.append)
    return stored(rendered, faults)


def _render(
    book: "_Book",
    renderer: Renderer,
    conversations: Sequence[Conversation],
    first: int,
    on_bad: Callable[[DataError], None],
) -> None:
    """Enter some conversations, of which the first has the place `first` in the data set."""
    turns = [
        (turn, conversation, index)
        for index, conversation in enumerate(conversations, start=first)
        for turn in _without_faults(renderer.turns(conversation), on_bad)
    ]
    sequences = renderer.sequences(turns, max_length=book.max_length)
    rendered: dict[int, list[tuple[Turn, Rendered | DataError]]] = {}
    for (turn, _, index), sequence in zip(turns, sequences, strict=True):
        rendered.setdefault(index, []).append((turn, sequence))
    for index, conversation in enumerate(conversations, start=first):
        _enter(book, renderer, index, conversation, rendered.get(index, ()), on_bad)


class _Book:
    """The sequences so far, and the account."""

    def __init__(self, max_length: int, on_too_long: str) -> None:
        self.max_length, self._on_too_long = max_length, on_too_long
        self.sequences: list[Rendered] = []
        self.dropped: list[Dropped] = []
        self.left_out: list[LeftOut] = []
        self.remarks: list[Remark] = []
        self.look_alikes: list[Origin] = []

    def enter(self, sequence: Rendered) -> bool:
        """Enter a sequence, or the reason why it is left out; whether it was entered."""
        cut = sequence.cut_prompt + sequence.cut_completion
        if cut and self._on_too_long == "refuse":
            raise DataError(
                f"message {sequence.turn + 1} and what precedes it have {sequence.num_tokens + cut:,} tokens",
                where=str(sequence.origin),
                expected=f"at most {self.max_length:,} (data.max_length)",
                remedy="Raise data.max_length, or set data.on_too_long to cut or drop.",
            )
        if cut and (self._on_too_long == "drop" or not len(sequence.completion_ids)):
            reason: DropReason = "too long" if self._on_too_long == "drop" else "answer cut away"
            trained = len(sequence.completion_ids) + sequence.cut_completion
            return self.drop(sequence.origin, sequence.turn, reason, sequence.num_tokens + cut, trained)
        self.sequences.append(sequence)
        return True

    def drop(self, origin: Origin, turn: int, reason: DropReason, num_tokens: int = 0, num_trained: int = 0) -> bool:
        self.dropped.append(
            Dropped(origin=origin, turn=turn, reason=reason, num_tokens=num_tokens, num_trained=num_trained)
        )
        return False

    def add(self, rendered: RenderedSet, faults: Iterable[DataError], on_bad: Callable[[DataError], None]) -> None:
        """Enter what was rendered elsewhere under the same limits, and report its faults."""
        for fault in faults:
            on_bad(fault)
        self.sequences += rendered.sequences
        self.dropped += rendered.dropped
        self.left_out += rendered.left_out
        self.remarks += rendered.remarks
        self.look_alikes += rendered.look_alikes

    def closed(self) -> RenderedSet:
        cuts = [cut for item in self.sequences if (cut := item.cut_prompt + item.cut_completion)]
        return RenderedSet(
            sequences=tuple(self.sequences),
            num_cut=len(cuts),
            num_cut_tokens=sum(cuts),
            dropped=tuple(self.dropped),
            left_out=tuple(self.left_out),
            remarks=tuple(self.remarks),
            look_alikes=tuple(dict.fromkeys(self.look_alikes)),
        )


def _without_faults(turns: Iterable[Turn | DataError], on_bad: Callable[[DataError], None]) -> Iterator[Turn]:
    """Yield the turns, and give `on_bad` the faults among them."""
    for turn in turns:
        if isinstance(turn, DataError):
            on_bad(turn)
        else:
            yield turn


def _enter(
    book: _Book,
    renderer: Renderer,
    index: int,
    conversation: Conversation,
    rendered: Iterable[tuple[Turn, Rendered | DataError]],
    on_bad: Callable[[DataError], None],
) -> None:
    if conversation.text is not None:
        for piece in renderer.text_sequences(conversation, index=index, max_length=book.max_length):
            book.enter(piece)
        if renderer.tokens.control.search(conversation.text):
            book.look_alikes.append(conversation.origin)
    elif not any(message.role == "assistant" for message in conversation.messages):
        book.drop(conversation.origin, -1, "no assistant turn")
    for turn, sequence in rendered:
        if isinstance(sequence, DataError):
            on_bad(sequence)
        elif book.enter(sequence):
            book.left_out += turn.left_out
            book.remarks += turn.remarks
            if turn.text.literals:
                book.look_alikes.append(conversation.origin)
