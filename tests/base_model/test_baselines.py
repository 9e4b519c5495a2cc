"""The count-based models that the model card compares with."""

from __future__ import annotations

import math
from random import Random

from base_model.baselines import MIXTURES, TrigramCounts, best_mixture

VOCAB_SIZE = 5


def counted() -> TrigramCounts:
    chance = Random(2)
    counts = TrigramCounts(vocab_size=VOCAB_SIZE)
    for _ in range(20):
        counts.add([chance.randrange(4) for _ in range(10)])
    return counts


def test_the_probabilities_of_all_next_tokens_sum_to_one_whatever_the_context() -> None:
    counts = counted()
    for context in ([0, 1], [3, 3], [4, 4], [2, 4], [1]):
        for weights in MIXTURES:
            before = counts.trigram_nats(context, weights)
            sums = sum(
                math.exp(before - counts.trigram_nats([*context, token], weights)) for token in range(VOCAB_SIZE)
            )
            assert math.isclose(sums, 1, rel_tol=1e-9)
        before = counts.unigram_nats(context)
        total = sum(math.exp(before - counts.unigram_nats([*context, token])) for token in range(VOCAB_SIZE))
        assert math.isclose(total, 1, rel_tol=1e-9)


def test_a_trigram_model_beats_a_unigram_model_on_text_with_an_order() -> None:
    counts = TrigramCounts(vocab_size=VOCAB_SIZE)
    row = [0, 1, 2, 3] * 30
    counts.add(row)
    assert counts.trigram_nats(row, (0.8, 0.15, 0.05)) < 0.2 * counts.unigram_nats(row)


def test_the_best_mixture_is_the_one_with_the_least_loss() -> None:
    counts = counted()
    rows = [[0, 1, 2, 3, 0, 1], [2, 2, 2]]
    best = best_mixture(counts, rows)
    loss = {weights: sum(counts.trigram_nats(row, weights) for row in rows) for weights in MIXTURES}
    assert loss[best] == min(loss.values())
