"""What settings of sampling leave to be sampled is what transformers leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tunelab.generation.completion import Sampling
from tunelab.generation.generate import generate

STOP = 2
HOT = {"temperature": 2.5}
SETTINGS = [
    {"top_p": 0.5},
    {"top_k": 3},
    {"min_p": 0.2},
    {"repetition_penalty": 3.0},
    {"top_p": 0.7, "top_k": 9, "min_p": 0.15, "repetition_penalty": 1.4},
]


def stock_logits(network: torch.nn.Module, prompt: np.ndarray, **settings: float) -> torch.Tensor:
    """Return the first logits after transformers' own processors (N,)."""
    ids = torch.tensor(prompt, dtype=torch.long)[None]
    off = {"top_k": 0}
    out = network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=True, max_new_tokens=1, output_scores=True,
        return_dict_in_generate=True, **{**off, **settings},
    )  # fmt: skip
    return out.scores[0][0]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "+".join(settings))
def test_a_setting_draws_from_the_tokens_that_transformers_leaves_as_often(network, settings):
    prompt = np.arange(3, 45, dtype=np.int32)  # what it holds is penalized
    expected = stock_logits(network, prompt, **HOT, **settings).softmax(0).numpy()
    plain = stock_logits(network, prompt, **HOT).softmax(0).numpy()
    sampling = Sampling(max_new_tokens=1, **HOT, **settings)
    answers = generate(network, None, [prompt] * 2000, sampling=sampling, stop_ids=[], batch_size=500)
    sampled = np.bincount([answer.token_ids[0] for answer in answers], minlength=61) / 2000
    assert sampled[expected == 0].sum() == 0
    assert np.abs(sampled - expected).sum() / 2 < 0.1
    assert np.abs(plain - expected).sum() / 2 > 0.15


def test_a_repetition_penalty_changes_greedy_answers_as_in_transformers_whatever_the_batch(network, prompts):
    def stock(prompt: np.ndarray) -> list[int]:
        ids = torch.tensor(prompt, dtype=torch.long)[None]
        out = network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, eos_token_id=STOP,
            repetition_penalty=1.5,
        )  # fmt: skip
        answer = out[0, ids.shape[1] :].tolist()
        return answer[: answer.index(STOP)] if STOP in answer else answer

    expected = [stock(prompt) for prompt in prompts]
    sampling = Sampling(max_new_tokens=24, repetition_penalty=1.5)
    for batch_size in (1, 3, 8):
        answers = generate(network, None, prompts, sampling=sampling, stop_ids=[STOP], batch_size=batch_size)
        assert [list(answer.token_ids) for answer in answers] == expected
    plain = generate(network, None, prompts, sampling=replace(sampling, repetition_penalty=1.0), stop_ids=[STOP])
    assert [list(answer.token_ids) for answer in plain] != expected


def test_one_token_left_is_the_greedy_answer(network, prompts):
    greedy = generate(network, None, prompts, sampling=Sampling(max_new_tokens=12), stop_ids=[STOP])
    for settings in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}):
        sampling = Sampling(max_new_tokens=12, temperature=2.0, **settings)
        sampled = generate(network, None, prompts, sampling=sampling, stop_ids=[STOP])
        assert [each.token_ids for each in sampled] == [each.token_ids for each in greedy]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "+".join(settings))
def test_a_seed_gives_the_same_answers_whatever_the_batch_with_every_setting(network, prompts, settings):
    def answers(seed: int, batch_size: int) -> list[tuple[int, ...]]:
        sampling = Sampling(max_new_tokens=16, seed=seed, **HOT, **settings)
        sampled = generate(network, None, prompts, sampling=sampling, stop_ids=[STOP], batch_size=batch_size)
        return [answer.token_ids for answer in sampled]

    assert answers(1, 8) == answers(1, 3) == answers(1, 1)
    assert answers(1, 8) != answers(2, 8)
