"""The matrix products of a step, with every token run once and with every row run: what sharing can save at most.

Attention looks back from each token over all before it. Tokens deep in a session look back far, so that less attention
is saved than tokens; where contexts are long and the model is narrow, attention decides.
"""

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LINEAR_FLOP = 4
"""Of a weight and token: forward, and back through what is frozen."""
_ATTENTION_FLOP = 14
"""Of a pair of tokens and unit of width: two products forward; five back, as the kernel makes the weights again."""
_WORDS = 8192
"""Vocabulary of a shape that names none."""
Row = tuple[Sequence[int], Sequence[int]]
"""Ids of a prompt, and of its completion, which is trained."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens, pairs of a token with each that it looks back to, itself included, and trained tokens."""

    tokens: int
    pairs: int
    trained: int

    def flop(self, shape: dict[str, Any]) -> float:
        """Return the products of a step in the layers of a model, and in its head for trained tokens."""
        width, layers = shape["hidden_size"], shape["num_hidden_layers"]
        heads = shape["num_attention_heads"]
        size = shape.get("head_dim", width // heads)
        keys = shape.get("num_key_value_heads", heads)
        weights = layers * width * (2 * heads * size + 2 * keys * size + 3 * shape["intermediate_size"])
        head = width * shape.get("vocab_size", _WORDS)
        linear = weights * self.tokens + head * self.trained
        return float(_LINEAR_FLOP * linear + _ATTENTION_FLOP * layers * heads * size * self.pairs)


def shared_and_not(rows: Iterable[Row]) -> tuple[Work, Work]:
    """Return the work of one step that runs each distinct beginning once, and of one that runs every row."""
    places: dict[tuple[int, int], int] = {}
    trained_places: set[int] = set()
    distinct_pairs = tokens = pairs = trained = 0
    for prompt, completion in rows:
        place = 0
        for depth, token in enumerate((*prompt, *completion), start=1):
            here = (place, token)
            if here not in places:
                places[here] = len(places) + 1
                distinct_pairs += depth
            place = places[here]
            if depth > len(prompt):
                trained_places.add(place)
        length = len(prompt) + len(completion)
        tokens, trained = tokens + length, trained + len(completion)
        pairs += length * (length + 1) // 2
    return Work(len(places), distinct_pairs, len(trained_places)), Work(tokens, pairs, trained)


def work_of(steps: Iterable[Iterable[Row]]) -> tuple[Work, Work]:
    """Return the work of some steps, shared and not."""
    each = [shared_and_not(rows) for rows in steps]
    shared, alone = (
        Work(sum(w.tokens for w in side), sum(w.pairs for w in side), sum(w.trained for w in side))
        for side in zip(*each, strict=True)
    )
    return shared, alone


def most_by_sharing(shared: Work, alone: Work, shape: dict[str, Any]) -> str:
    """Return, as a sentence, how many times fewer tokens, pairs and products sharing leaves."""
    tokens, pairs = alone.tokens / shared.tokens, alone.pairs / shared.pairs
    products = alone.flop(shape) / shared.flop(shape)
    return (
        f"sharing leaves {tokens:.2f} times fewer tokens, {pairs:.2f} times fewer pairs in attention, and by that "
        f"{products:.2f} times fewer products: {products / tokens:.2f} of the tokens saved is the most there is to gain"
    )


def matrix_pace(shape: dict[str, Any]) -> list[float]:
    """Return the FLOP a second of this process in large products of the model's width, by the clock and the processor.

    The tokens of such a product fill the processor; it is what a step of nothing but products would reach.
    """
    import torch

    width, inner, tokens = shape["hidden_size"], shape["intermediate_size"], 1024
    one, other = torch.randn(tokens, width), torch.randn(width, inner)
    flop = 2 * tokens * width * inner
    number = max(1, int(2e9 / flop))
    seconds = []
    for _ in range(15):
        before = (time.perf_counter(), time.process_time())
        for _ in range(number):
            one @ other
        seconds.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    return [number * flop / statistics.median(each) for each in zip(*seconds, strict=True)]
