"""Training and held-out conversations, with whole sessions on one side."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import beginnings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Side = tuple[Conversation, ...]
Link = str | tuple[int, ...] | None
"""Of a conversation: its session's id; without one, the hashes of its beginnings; None for plain text."""

# N conversations, F of them with messages, E different ends, M messages


def split_conversations(items: Sequence[Conversation], *, fraction: float, seed: int) -> tuple[Side, Side]:
    """Return (train, held out), each in the order of `items`; about `fraction` of the conversations are held out.

    Conversations of one session stay together. One without a session id belongs to the one that it continues: whose
    messages, all of them, it begins with. With a fraction above zero and two sessions or more, no side is empty.
    """
    held = hold_out(session_keys(map(session_link, items)), fraction=fraction, seed=seed)
    train = tuple(item for index, item in enumerate(items) if index not in held)
    return train, tuple(item for index, item in enumerate(items) if index in held)


def hold_out(keys: Sequence[Hashable], *, fraction: float, seed: int) -> set[int]:
    """Return the indices of about `fraction` of `keys`, chosen by seed; equal keys go together.

    With a fraction above zero and two different keys or more, neither side is empty.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    if fraction <= 0 or len(groups) < 2:
        return set()
    shuffled = list(groups.values())
    random.Random(seed).shuffle(shuffled)
    target = max(1, round(fraction * len(keys)))
    held: set[int] = set()
    for group in shuffled:
        if len(held) + len(group) <= min(target, len(keys) - 1):
            held.update(group)
    smallest = min(shuffled, key=len)
    return held or set(smallest)


def session_link(item: Conversation) -> Link:
    """Return what ties a conversation to others of its session; None for plain text."""
    return item.session_id if item.session_id is not None else tuple(beginnings(item)) or None


def session_keys(links: Iterable[Link]) -> list[Hashable]:
    """Return what equals for conversations of one session: the id, or the index of the first line of its chain."""
    import numpy as np  # a tenth of a second, which commands that read no rows need not pay

    known = list(links)
    chains = [link if isinstance(link, tuple) else () for link in known]
    hashes_M = np.fromiter(chain.from_iterable(chains), dtype=np.int64)
    origins = chain_origins(hashes_M, np.array([len(each) for each in chains], dtype=np.int64)).tolist()
    return [link if isinstance(link, str) else origin for link, origin in zip(known, origins, strict=True)]


def chain_origins(hashes_M: NDArray[np.int64], lengths_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each conversation, the index of the one that its chain opens with; its own where it continues none.

    One continues the longest of those whose messages, all of them, it begins with, or the first that is equal. To
    share a beginning is not enough: a greeting opens many chats.

    Args:
        hashes_M: the hashes of the beginnings of each conversation, conversation after conversation.
        lengths_N: how many each has; one without any is on its own.
    """
    import numpy as np

    num = len(lengths_N)
    origins_N = np.arange(num)
    rows_F = np.flatnonzero(lengths_N)
    if not len(rows_F):
        return origins_N
    last_F = np.cumsum(lengths_N)[rows_F] - 1
    ends_E, first_E = np.unique(hashes_M[last_F], return_index=True)
    places_M = np.searchsorted(ends_E, hashes_M).clip(max=len(ends_E) - 1)
    whole_M = np.where(ends_E[places_M] == hashes_M, np.arange(len(hashes_M)), -1)
    own_F = places_M[last_F]
    whole_M[last_F] = -1
    longest_F = np.maximum.reduceat(whole_M, last_F + 1 - lengths_N[rows_F])
    origins_N[rows_F] = rows_F[first_E[np.where(longest_F < 0, own_F, places_M[longest_F])]]
    for _ in range(num.bit_length()):  # twice as far each time
        origins_N = origins_N[origins_N]
    return origins_N
