"""Completions are scored by the log-probability of all their tokens, as if each came alone after its prompt."""

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from lively_networks import SHAPES, distinct_tokens, lively_network, moved_prefix, sessions
from networks import padded_unshared_loss, sequence
from running_networks import running_network
from tunelab.errors import ModelError
from tunelab.generation.completion import CompletionScores, Sampling
from tunelab.generation.responder import Responder
from tunelab.generation.score_completions import score_completions

CHOICES = [np.array(ids, dtype=np.int32) for ids in ([7, 2], [7, 8, 2], [7, 8, 9, 2], [31, 2], [2], [7, 8, 30, 2])]


def scores_of(network: PreTrainedModel, adapter: object, prompts: list[np.ndarray]) -> np.ndarray:
    return np.array(score_completions(network, adapter, prompts, [CHOICES] * len(prompts)).log_probs)


def unshared(network: PreTrainedModel, adapter: object, prompts: list[np.ndarray]) -> np.ndarray:
    """Return the scores of stock code, one row for each prompt and choice."""
    return np.array(
        [[-float(padded_unshared_loss(network, adapter, [sequence(p, c)])) for c in CHOICES] for p in prompts]
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["nothing", "soft prompt", "prefix"])
def test_scores_are_those_of_every_choice_on_its_own(shape: str, kind: str, with_virtual_tokens: type) -> None:
    network, prompts = lively_network(shape), sessions(calls=2)
    vectors = network.get_input_embeddings().weight[[5, 9, 11]] * 1.5
    in_front = {"nothing": vectors[:0], "soft prompt": vectors}
    adapter = moved_prefix(network) if kind == "prefix" else with_virtual_tokens(in_front[kind])
    with torch.no_grad():
        expected = unshared(network, adapter, prompts)
    scores_PC = scores_of(network, adapter, prompts)
    assert scores_PC.shape == (len(prompts), len(CHOICES))
    assert np.ptp(expected) > 5
    assert np.abs(scores_PC - expected).max() < 1e-4


@pytest.mark.parametrize("family", ["mamba2", "qwen3_next", "minimax"])
def test_a_state_is_continued_by_each_choice_anew(family: str) -> None:
    network = running_network(family)
    prompts = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5], [7, 8, 20, 4], [30, 31])]
    scores = scores_of(network, None, prompts)
    for row, prompt in enumerate(prompts):
        for column, choice in enumerate(CHOICES):
            ids = torch.tensor([[*prompt, *choice]]).long()
            with torch.no_grad():
                log_probs = network(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
            places = range(len(prompt) - 1, ids.shape[1] - 1)
            expected = sum(float(log_probs[place, ids[0, place + 1]]) for place in places)
            assert scores[row, column] == pytest.approx(expected, abs=1e-3)


def test_prompts_and_choices_are_one_trie_each_token_of_which_runs_once(network: LlamaForCausalLM) -> None:
    prompts, done = sessions(calls=4), []
    given = [CHOICES] * len(prompts)
    scores = score_completions(network, None, prompts, given, on_progress=lambda *each: done.append(each))
    paths = [np.concatenate([prompt, choice[:-1]]) for prompt in prompts for choice in CHOICES]
    assert scores.num_tokens_run == distinct_tokens(paths) < sum(map(len, paths)) / 10
    assert done == [(len(prompts), len(prompts))]
    first = [prompt.tolist() for prompt in prompts].index(prompts[-1].tolist())
    assert np.array_equal(scores.log_probs[-1], scores.log_probs[first])


def test_each_prompt_has_completions_of_its_own(network: LlamaForCausalLM) -> None:
    prompts = sessions(calls=2)
    given = [CHOICES[place % 3 : place % 3 + 1 + place % 2] for place in range(len(prompts))]
    scores, every = score_completions(network, None, prompts, given).log_probs, scores_of(network, None, prompts)
    for place, some in enumerate(scores):
        assert some == pytest.approx(every[place, place % 3 : place % 3 + 1 + place % 2], abs=1e-5)


def test_the_probabilities_of_all_answers_of_one_token_add_up_to_one(network: LlamaForCausalLM) -> None:
    every = [np.array([token], dtype=np.int32) for token in range(61)]
    prompts = sessions(calls=1)
    scores = np.array(score_completions(network, None, prompts, [every] * len(prompts)).log_probs)
    assert np.allclose(np.exp(scores).sum(axis=1), 1)


def test_a_choice_that_cannot_be_scored_is_refused_before_anything_runs(network: LlamaForCausalLM) -> None:
    prompts, done = [np.full(150, 5, dtype=np.int32), np.full(155, 5, dtype=np.int32)], []

    def score(*choices: list[int]) -> CompletionScores:
        given = [np.array(each, dtype=np.int32) for each in choices]
        return score_completions(network, None, prompts, [given] * 2, on_progress=lambda *each: done.append(each))

    with pytest.raises(ModelError, match="completion 2 holds no token"):
        score([3], [])
    with pytest.raises(ModelError, match="155 tokens leaves room for 5 more, but a completion has 6"):
        score([3], [3] * 6)
    with pytest.raises(ModelError, match="at least one completion"):
        score()
    assert done == []
    assert np.isfinite(score([3], [3] * 5).log_probs).all()


def test_a_network_that_computes_nan_scores_nothing(network: LlamaForCausalLM) -> None:
    broken = LlamaForCausalLM(network.config).eval()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        scores_of(broken, None, sessions(calls=1))


def test_a_responder_scores_as_the_tuned_model_or_as_its_base(network: LlamaForCausalLM, virtual: object) -> None:
    prompts = sessions(calls=1)

    def scores(*, tuned: bool) -> np.ndarray:
        responder = Responder(network=network, adapter=virtual, renderer=None, sampling=Sampling(), tuned=tuned)
        return np.array(responder.completion_scores(prompts, [CHOICES] * len(prompts)).log_probs)

    assert np.allclose(scores(tuned=False), scores_of(network, None, prompts))
    assert np.abs(scores(tuned=True) - scores(tuned=False)).max() > 0.1
