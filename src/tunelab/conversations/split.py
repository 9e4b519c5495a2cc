"""Training and held-out conversations, with whole sessions on one side."""

import random
from collections.abc import Sequence

from tunelab.conversations.conversation import Conversation

Side = tuple[Conversation, ...]


def split_conversations(items: Sequence[Conversation], *, fraction: float, seed: int) -> tuple[Side, Side]:
    """Return (train, held out), each in the order of `items`; about `fraction` of the conversations are held out.

    Conversations of one session stay together. A line that logs one call without a session id belongs to the line
    whose messages it continues. With a fraction above zero and two sessions or more, no side is empty.
    """
    sessions: dict[object, list[int]] = {}
    for index, key in enumerate(_session_keys(items)):
        sessions.setdefault(key, []).append(index)
    if fraction <= 0 or len(sessions) < 2:
        return tuple(items), ()
    drawn = list(sessions.values())
    random.Random(seed).shuffle(drawn)
    wanted = max(1, round(fraction * len(items)))
    held: set[int] = set()
    for group in drawn:
        if len(held) + len(group) <= min(wanted, len(items) - 1):
            held.update(group)
    smallest = min(drawn, key=len)
    held = held or set(smallest)
    train = tuple(item for index, item in enumerate(items) if index not in held)
    return train, tuple(item for index, item in enumerate(items) if index in held)


def _session_keys(items: Sequence[Conversation]) -> list[object]:
    """Return what equals for conversations of one session: the id, or the index of the first line of its chain."""
    ends: dict[int, int] = {}
    prefixes: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        if item.session_id is None and item.train == "last":
            key, prefixes[index] = 0, []
            for message in item.messages:
                key = hash((key, repr(message)))
                prefixes[index].append(key)
            ends.setdefault(key, index)
    keys: list[object] = []
    for index, item in enumerate(items):
        origin = index
        while origin in prefixes:
            chain = prefixes[origin]
            parent = next((ends[key] for key in reversed(chain[:-1]) if key in ends), ends[chain[-1]])
            if parent == origin:
                break
            origin = parent
        keys.append(origin if item.session_id is None else item.session_id)
    return keys
