"""Five attention heads laid out by hand, so that the model can copy from its context from the first step on.

A small model needs millions of tokens before such heads (induction heads) arise by themselves; until then it copies no
number. Here they are given and held; all other weights are trained around them.

The residual stream is parted: dimension 0 of an embedding is a constant, the last `3 * SLOT` dimensions are empty, the
rest tells the token. In layer 0 three heads look none, one and two tokens back (by rotary angles alone, off the
constant) and write a projection of what they see into the three slots of the empty part. In layer 1 two heads compare
slots, so that they attend to whatever came after an equal token or after an equal pair of tokens, and add it to the
token part. How that is added, and all else, is learnt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

Matrix = list[list[float]]

TOKEN_SPREAD = 0.05
"""Root mean square of the token part of every embedding."""
CONSTANT = 0.25
"""Value of dimension 0 in every embedding."""
ROPE_THETA = 1_000_000.0
"""Rotary base: high, so that most pairs turn slowly enough to compare content over hundreds of tokens."""

TOKEN_GAIN = 5.0
"""Weight of the token part in every norm behind the slots, which are large so that nothing learnt drowns them."""
SLOT = 24
"""Width of each of the three slots that say what the present token, the last and the one before it are."""

_LOOK_BACK_PAIRS = 8  # the fastest rotary pairs, which tell neighbours apart
_LOOK_BACK_GAIN = 2.0
_FIRST_SLOW_PAIR = 10
_MATCH_GAIN = 2.2
_WRITE_GAIN = 0.5
_COPY_GAIN = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstHead:
    """One head laid out by hand; query, key and value are head_size x hidden, output is hidden x head_size."""

    layer: int
    head: int
    kv_head: int
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    holds_value: bool  # whether value and output too are held through training; query and key always are


def first_heads(chance: Random, *, hidden_size: int, head_size: int) -> tuple[FirstHead, ...]:
    """Return the five heads for a model of two key-value heads with two query heads each."""
    half = head_size // 2
    present, one_back, two_back = (hidden_size - SLOT * count for count in (3, 2, 1))
    token_part = range(1, present)
    projection = [*_gaussian(chance, SLOT, hidden_size, token_part), *_zeros(head_size - SLOT, hidden_size)]

    def look_back(distance: int, slot: int, *, head: int, key_distance: int) -> FirstHead:
        query, key = _zeros(head_size, hidden_size), _zeros(head_size, hidden_size)
        for pair in range(_LOOK_BACK_PAIRS):
            speed = ROPE_THETA ** (-pair / half)
            for matrix, angle in ((query, (key_distance - distance) * speed), (key, key_distance * speed)):
                matrix[pair][0] = _LOOK_BACK_GAIN * math.cos(angle)
                matrix[pair + half][0] = _LOOK_BACK_GAIN * math.sin(angle)
        output = _zeros(hidden_size, head_size)
        for row in range(SLOT):
            output[slot + row][row] = _WRITE_GAIN
        return FirstHead(layer=0, head=head, kv_head=head // 2, query=query, key=key, value=projection, output=output,
                         holds_value=True)  # fmt: skip

    def match(places: list[int], comparisons: list[tuple[int, int]], *, head: int) -> FirstHead:
        """Compare each (query dimension, key dimension) at its own place among the slow rotary pairs."""
        query, key = _zeros(head_size, hidden_size), _zeros(head_size, hidden_size)
        for place, (asked, known) in zip(places, comparisons, strict=False):
            query[place][asked] = _MATCH_GAIN
            key[place][known] = _MATCH_GAIN
        seen = _gaussian(chance, head_size, hidden_size, token_part)
        output = [[_COPY_GAIN * seen[row][column] for row in range(head_size)] for column in range(hidden_size)]
        return FirstHead(layer=1, head=head, kv_head=head // 2, query=query, key=key, value=seen, output=output,
                         holds_value=False)  # fmt: skip

    slow = [place for pair in range(half - 1, _FIRST_SLOW_PAIR - 1, -1) for place in (pair, pair + half)]
    last = [(present + row, one_back + row) for row in range(SLOT)]
    pair_of_last = [both for row in range(SLOT) for both in (last[row], (one_back + row, two_back + row))]
    return (
        look_back(0, present, head=0, key_distance=1),
        look_back(1, one_back, head=1, key_distance=1),
        look_back(2, two_back, head=2, key_distance=2),
        match(slow, last, head=0),
        match(slow, pair_of_last, head=2),
    )


def _zeros(rows: int, columns: int) -> Matrix:
    return [[0.0] * columns for _ in range(rows)]


def _gaussian(chance: Random, rows: int, columns: int, used: range) -> Matrix:
    """Return random rows over the used columns, of unit length on average."""
    spread = len(used) ** -0.5
    return [[chance.gauss(0, spread) if column in used else 0.0 for column in range(columns)] for _ in range(rows)]
