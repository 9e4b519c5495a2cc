"""Answers of models that carry a state along the row."""

import numpy as np
import pytest
import torch

from running_networks import RUNNING, running_network
from tunelab.generation.completion import Sampling
from tunelab.generation.generate import generate, stream

LENGTH = 10
GREEDY = Sampling(max_new_tokens=LENGTH)


def lively(family: str):  # type: ignore[no-untyped-def]
    """Return a network whose answers differ, which those of small random weights do not."""
    network = running_network(family)
    generator = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        if weight.ndim == 2:
            weight += torch.randn(weight.shape, generator=generator) * 0.2
    return network


def stock_answer(network, prompt: np.ndarray) -> list[int]:  # type: ignore[no-untyped-def, type-arg]
    """Return what transformers' own loop answers to one prompt."""
    ids = torch.tensor(prompt, dtype=torch.long)[None]
    out = network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=LENGTH, eos_token_id=None
    )
    return out[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("family", [family for family in RUNNING if family not in ("xlstm", "minimax")])
def test_greedy_answers_are_those_of_transformers_one_row_at_a_time(family: str) -> None:
    network = lively(family)
    draw = np.random.default_rng(5)
    prompts = [draw.integers(3, 50, size=size).astype(np.int32) for size in (4, 9, 2, 9, 13, 4)]
    expected = [stock_answer(network, prompt) for prompt in prompts]
    assert len({tuple(answer) for answer in expected}) > 3
    answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[])
    assert [list(answer.token_ids) for answer in answers] == expected
    assert list(stream(network, None, prompts[0], sampling=GREEDY, stop_ids=[])) == expected[0]


@pytest.mark.parametrize("family", ["mamba2", "qwen3_next", "bamba", "lfm2", "rwkv"])
def test_a_row_that_ends_early_leaves_the_states_of_the_others_alone(family: str) -> None:
    network = lively(family)
    draw = np.random.default_rng(6)
    prompts = [draw.integers(3, 50, size=7).astype(np.int32) for _ in range(4)]
    expected = [stock_answer(network, prompt) for prompt in prompts]
    stop = expected[1][2]
    cut = [answer[: answer.index(stop)] if stop in answer else answer for answer in expected]
    answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[stop])
    assert [list(answer.token_ids) for answer in answers] == cut


@pytest.mark.parametrize("family", ["xlstm", "minimax"])
def test_a_state_that_is_kept_in_no_common_cache_is_computed_again(family: str) -> None:
    network = lively(family)  # whose cached answers transformers gets wrong, or not at all, at this size
    prompts = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5], [7, 8, 20], [30, 31])]
    answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[])
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = torch.tensor([[*prompt.tolist(), *answer.token_ids]])
        with torch.no_grad():
            likeliest = network(input_ids=ids, use_cache=False).logits[0].argmax(dim=-1)
        assert likeliest[len(prompt) - 1 : -1].tolist() == list(answer.token_ids)


@pytest.mark.parametrize("family", ["mamba", "qwen3_next", "jamba"])
def test_virtual_tokens_come_before_the_prompt(family: str, with_virtual_tokens) -> None:  # type: ignore[no-untyped-def]
    network = lively(family)
    words = torch.tensor([5, 9, 11])
    adapter = with_virtual_tokens(network.get_input_embeddings()(words))
    prompts = [np.array(ids, dtype=np.int32) for ids in ([3, 4], [7, 8, 20])]
    answers = generate(network, adapter, prompts, sampling=GREEDY, stop_ids=[])
    written = [np.concatenate([words.numpy(), prompt]) for prompt in prompts]
    assert [list(answer.token_ids) for answer in answers] == [stock_answer(network, prompt) for prompt in written]
