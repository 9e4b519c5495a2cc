"""Prompts are one trie: a shared token runs once, and answers are those of the unshared run."""

from itertools import pairwise

import numpy as np
import pytest
from transformers import PreTrainedModel

from lively_networks import distinct_tokens, lively_network, moved_prefix, sessions
from networks import FAMILIES
from tunelab.batching.forest import common_prefix
from tunelab.generation.batches import along_trie
from tunelab.generation.completion import Sampling
from tunelab.generation.decode import decode
from tunelab.generation.generate import generate
from tunelab.generation.rows import RowReader
from tunelab.generation.trie import Trie, can_share

STOP = 2
SHARING = [family for family in FAMILIES if family not in ("mistral", "gemma3")]


def unshared(
    network: PreTrainedModel, adapter: object, prompts: list[np.ndarray], sampling: Sampling
) -> list[list[int]]:
    answers = []
    for index, prompt in enumerate(prompts):
        reader = RowReader(network, adapter)
        tokens = decode(reader, [prompt], indices=[index], sampling=sampling, stop_ids=[STOP])
        answers.append([token for _, token, _ in tokens if token is not None])
    return answers


@pytest.mark.parametrize("family", SHARING)
@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 5}], ids=["greedy", "sampled"])
def test_answers_along_the_trie_are_those_of_each_prompt_on_its_own(family: str, sampling: dict[str, float]) -> None:
    network, prompts = lively_network(family), sessions()
    settings = Sampling(max_new_tokens=8, **sampling)
    expected = unshared(network, None, prompts, settings)
    assert len({tuple(answer) for answer in expected}) > 8
    assert can_share(network)
    for batch_size in (2, 24):
        answers = generate(network, None, prompts, sampling=settings, stop_ids=[STOP], batch_size=batch_size)
        assert [list(each.token_ids) for each in answers] == expected


@pytest.mark.parametrize("kind", ["prefix", "soft prompt"])
def test_what_an_adapter_puts_in_front_is_the_beginning_of_the_trie(kind: str, with_virtual_tokens: type) -> None:
    network, prompts = lively_network("llama"), sessions(calls=2)
    vectors = network.get_input_embeddings().weight[[5, 9, 11]] * 1.5
    adapter = moved_prefix(network) if kind == "prefix" else with_virtual_tokens(vectors)
    settings = Sampling(max_new_tokens=6)
    answers = generate(network, adapter, prompts, sampling=settings, stop_ids=[STOP], batch_size=3)
    assert [list(each.token_ids) for each in answers] == unshared(network, adapter, prompts, settings)
    assert [list(each.token_ids) for each in answers] != unshared(network, None, prompts, settings)


def tokens_run(network: PreTrainedModel, prompts: list[np.ndarray], batches: list[list[int]]) -> int:
    trie = Trie(network, None)
    for batch in batches:
        trie.read([prompts[row] for row in batch])
    return trie.num_run


def test_every_distinct_token_of_a_batch_runs_once(network: PreTrainedModel) -> None:
    prompts = sessions(calls=12)
    distinct = distinct_tokens(prompts)
    assert sum(map(len, prompts)) > 8 * distinct
    assert tokens_run(network, prompts, along_trie(prompts, most_rows=len(prompts), passes=0)) == distinct


def test_a_cut_falls_where_nothing_runs_again(network: PreTrainedModel) -> None:
    prompts = sessions(calls=4)
    batches = along_trie(prompts, most_rows=5, passes=0)
    in_order = [row for batch in along_trie(prompts, most_rows=1, passes=0) for row in batch]
    even_cuts = [in_order[at : at + 5] for at in range(0, len(in_order), 5)]
    assert len(batches) == len(even_cuts) == 3
    distinct = distinct_tokens(prompts)
    assert tokens_run(network, prompts, batches) == distinct < tokens_run(network, prompts, even_cuts)


def test_a_batch_is_bounded_by_rows_and_by_the_places_that_they_copy() -> None:
    draw = np.random.default_rng(1)
    common = draw.integers(3, 50, size=15_000)
    prompts = [np.concatenate([common, [token]]).astype(np.int32) for token in range(12)]
    batches = along_trie(prompts, most_rows=24, passes=500)
    assert sorted(row for batch in batches for row in batch) == list(range(12))
    assert max(map(len, batches)) == 4  # rows of 15,001 places
    unrelated = [draw.integers(3, 10**6, size=1_000).astype(np.int32) for _ in range(40)]
    assert max(map(len, along_trie(unrelated, most_rows=40, passes=0))) == 16  # of 1,000 tokens to run
    assert along_trie([], most_rows=4, passes=1) == []


def test_batches_hold_each_prompt_once_and_follow_the_trie() -> None:
    prompts = sessions(calls=7)
    for most_rows in (1, 4, 9):
        batches = along_trie(prompts, most_rows=most_rows, passes=3)
        assert sorted(row for batch in batches for row in batch) == list(range(len(prompts)))
        assert max(map(len, batches)) <= most_rows
        ids = [prompts[row].tolist() for batch in batches for row in batch]
        breaks = [one > other for one, other in pairwise(ids)]
        assert sum(breaks) <= 1  # where the first prompts come after the last


def test_a_trie_goes_back_to_any_earlier_beginning(network: PreTrainedModel) -> None:
    draw = np.random.default_rng(2)
    one, other = (draw.integers(3, 61, size=30).astype(np.int32) for _ in range(2))
    trie = Trie(network, None)
    for prompt in (one, one[:12], other, one):
        _, logits = trie.read([prompt])
        _, expected = RowReader(network, None).read([prompt])
        assert np.allclose(logits, expected, atol=1e-4)
    assert common_prefix(one, other) == 0
    assert trie.num_run == 30 + 1 + 30 + 30
