"""Training and held-out conversations, with whole sessions on one side."""

import random
from collections.abc import Hashable, Iterable, Sequence

from tunelab.conversations.conversation import Conversation

Side = tuple[Conversation, ...]
Link = str | tuple[int, ...] | None
"""Of a conversation: its session's id; the hashes of its beginnings, where it logs one call without an id; or None."""


def split_conversations(items: Sequence[Conversation], *, fraction: float, seed: int) -> tuple[Side, Side]:
    """Return (train, held out), each in the order of `items`; about `fraction` of the conversations are held out.

    Conversations of one session stay together. A line that logs one call without a session id belongs to the line
    whose messages it continues. With a fraction above zero and two sessions or more, no side is empty.
    """
    held = hold_out(session_keys(map(session_link, items)), fraction=fraction, seed=seed)
    train = tuple(item for index, item in enumerate(items) if index not in held)
    return train, tuple(item for index, item in enumerate(items) if index in held)


def hold_out(keys: Sequence[Hashable], *, fraction: float, seed: int) -> set[int]:
    """Return the indices of about `fraction` of `keys`, drawn by seed; equal keys go together.

    With a fraction above zero and two different keys or more, neither side is empty.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    if fraction <= 0 or len(groups) < 2:
        return set()
    drawn = list(groups.values())
    random.Random(seed).shuffle(drawn)
    wanted = max(1, round(fraction * len(keys)))
    held: set[int] = set()
    for group in drawn:
        if len(held) + len(group) <= min(wanted, len(keys) - 1):
            held.update(group)
    smallest = min(drawn, key=len)
    return held or set(smallest)


def session_link(item: Conversation) -> Link:
    """Return what ties a conversation to others of its session; None where nothing can."""
    if item.session_id is not None:
        return item.session_id
    if item.train == "all":
        return None
    key, beginnings = 0, []
    for message in item.messages:
        key = hash((key, repr(message)))
        beginnings.append(key)
    return tuple(beginnings)


def session_keys(links: Iterable[Link]) -> list[Hashable]:
    """Return what equals for conversations of one session: the id, or the index of the first line of its chain."""
    known = list(links)
    prefixes = {index: link for index, link in enumerate(known) if isinstance(link, tuple) and link}
    ends: dict[int, int] = {}
    for index, chain in prefixes.items():
        ends.setdefault(chain[-1], index)
    keys: list[Hashable] = []
    for index, link in enumerate(known):
        origin = index
        while origin in prefixes:
            chain = prefixes[origin]
            parent = next((ends[key] for key in reversed(chain[:-1]) if key in ends), ends[chain[-1]])
            if parent == origin:
                break
            origin = parent
        keys.append(link if isinstance(link, str) else origin)
    return keys
