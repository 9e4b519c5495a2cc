"""What sharing can save at most: the matrix products of a step with every token run once, against those of each row.

Attention looks back from each token over all before it. Tokens deep in a session look back far, so that less attention
is saved than tokens; where contexts are long and the model is narrow, attention decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LINEAR_FLOP = 4
"""Of a weight and token: forward, and back through what is frozen."""
_ATTENTION_FLOP = 14
"""Of a pair of tokens and unit of width: two products forward; five back, as the kernel makes the weights again."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens, and pairs of a token with each that it looks back to, itself included."""

    tokens: int
    pairs: int

    def flop(self, shape: dict[str, Any]) -> float:
        """Return the products of a step in the layers of a model, outputs left out."""
        width, layers = shape["hidden_size"], shape["num_hidden_layers"]
        heads = shape["num_attention_heads"]
        size = shape.get("head_dim", width // heads)
        keys = shape.get("num_key_value_heads", heads)
        weights = layers * width * (2 * heads * size + 2 * keys * size + 3 * shape["intermediate_size"])
        return float(_LINEAR_FLOP * weights * self.tokens + _ATTENTION_FLOP * layers * heads * size * self.pairs)


def shared_and_not(rows: Iterable[Sequence[int]]) -> tuple[Work, Work]:
    """Return the work of one step that runs each distinct beginning once, and of one that runs every row."""
    places: dict[tuple[int, int], int] = {}
    distinct_pairs = tokens = pairs = 0
    for row in rows:
        place = 0
        for depth, token in enumerate(row, start=1):
            here = (place, token)
            if here not in places:
                places[here] = len(places) + 1
                distinct_pairs += depth
            place = places[here]
        tokens += len(row)
        pairs += len(row) * (len(row) + 1) // 2
    return Work(len(places), distinct_pairs), Work(tokens, pairs)


def most_by_sharing(steps: Iterable[Iterable[Sequence[int]]], shape: dict[str, Any]) -> str:
    """Return, as a sentence, how many times fewer tokens, pairs and products sharing leaves over some steps."""
    each = [shared_and_not(rows) for rows in steps]
    shared, alone = (Work(sum(w.tokens for w in side), sum(w.pairs for w in side)) for side in zip(*each, strict=True))
    tokens, pairs = alone.tokens / shared.tokens, alone.pairs / shared.pairs
    products = alone.flop(shape) / shared.flop(shape)
    return (
        f"sharing leaves {tokens:.2f} times fewer tokens, {pairs:.2f} times fewer pairs in attention, and by that "
        f"{products:.2f} times fewer products: {products / tokens:.2f} of the tokens saved is the most there is to gain"
    )
