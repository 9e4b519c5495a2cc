"""Every text of some conversations: each distinct one once, and where it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunelab.conversations.conversation import Conversation, Message

# T distinct texts, P places where they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts in conversations: messages, reasoning, arguments of tool calls, plain texts."""

    conversations: Sequence[Conversation]
    different: list[str]
    """The T texts."""
    texts_P: NDArray[np.int64]
    """Which text is at a place; places go conversation by conversation."""
    conversations_P: NDArray[np.int64]
    """Index of the conversation."""
    messages_P: NDArray[np.int64]
    """Number of the message in it, from 1; 0 in a plain text."""

    def candidates(self, pattern: str) -> list[int]:
        """Return the indices of the different texts in which a pattern, read by Rust, is found."""
        hits = pl.Series(self.different, dtype=pl.String).str.contains(pattern)
        return [int(index) for index in hits.arg_true()]

    def places(self, hits_T: NDArray[np.bool_]) -> Iterator[tuple[Conversation, int, int]]:
        """Yield, for each conversation with a hit, the first one's message number and the index of its text."""
        places = np.flatnonzero(hits_T[self.texts_P])
        _, firsts = np.unique(self.conversations_P[places], return_index=True)
        for place in places[firsts].tolist():
            number, text = int(self.messages_P[place]), int(self.texts_P[place])
            yield self.conversations[int(self.conversations_P[place])], number, text


def texts_of(conversations: Sequence[Conversation]) -> Texts:
    """Return the texts of the conversations; messages that many rows repeat are held once."""
    known: dict[str, int] = {}
    places: list[tuple[int, int, int]] = []
    for index, item in enumerate(conversations):
        for number, text in _parts(item):
            places.append((known.setdefault(text, len(known)), index, number))
    columns = np.array(places, dtype=np.int64).reshape(-1, 3).T
    return Texts(
        conversations=conversations,
        different=list(known),
        texts_P=columns[0],
        conversations_P=columns[1],
        messages_P=columns[2],
    )


def place(item: Conversation, number: int) -> str:
    """Return e.g. ``train.jsonl:5: message 3``; the line alone for a plain text."""
    return f"{item.origin}: message {number}" if number else str(item.origin)


def _parts(item: Conversation) -> Iterator[tuple[int, str]]:
    if item.text:
        yield 0, item.text
    for number, message in enumerate(item.messages, start=1):
        for text in _texts(message):
            yield number, text


def _texts(message: Message) -> Iterator[str]:
    if message.content:
        yield message.content
    if message.reasoning:
        yield message.reasoning
    for call in message.tool_calls:
        if call.arguments:
            yield msgspec.json.encode(call.arguments).decode()
