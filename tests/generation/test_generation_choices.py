"""Choices are scored by the log-probability of all their tokens, as if each came alone after its prompt."""

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from lively_networks import SHAPES, distinct_tokens, lively_network, moved_prefix, sessions
from networks import padded_unshared_loss, sequence
from running_networks import running_network
from tunelab.errors import ModelError
from tunelab.generation.choices import score_choices
from tunelab.generation.completion import ChoiceScores, Sampling
from tunelab.generation.responder import Responder

CHOICES = [np.array(ids, dtype=np.int32) for ids in ([7, 2], [7, 8, 2], [7, 8, 9, 2], [31, 2], [2], [7, 8, 30, 2])]


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
    scores = score_choices(network, adapter, prompts, CHOICES)
    assert scores.log_probs_PC.shape == (len(prompts), len(CHOICES))
    assert np.ptp(expected) > 5
    assert np.abs(scores.log_probs_PC - expected).max() < 1e-4


@pytest.mark.parametrize("family", ["mamba2", "qwen3_next", "minimax"])
def test_a_state_is_continued_by_each_choice_anew(family: str) -> None:
    network = running_network(family)
    prompts = [np.array(ids, dtype=np.int32) for ids in ([3, 4, 5], [7, 8, 20, 4], [30, 31])]
    scores = score_choices(network, None, prompts, CHOICES).log_probs_PC
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
    scores = score_choices(network, None, prompts, CHOICES, on_progress=lambda *each: done.append(each))
    paths = [np.concatenate([prompt, choice[:-1]]) for prompt in prompts for choice in CHOICES]
    assert scores.num_tokens_run == distinct_tokens(paths) < sum(map(len, paths)) / 10
    assert done == [(len(prompts), len(prompts))]
    assert np.array_equal(
        scores.log_probs_PC[-1], scores.log_probs_PC[[p.tolist() for p in prompts].index(prompts[-1].tolist())]
    )


def test_the_probabilities_of_all_answers_of_one_token_add_up_to_one(network: LlamaForCausalLM) -> None:
    every = [np.array([token], dtype=np.int32) for token in range(61)]
    scores = score_choices(network, None, sessions(calls=1), every).log_probs_PC
    assert np.allclose(np.exp(scores).sum(axis=1), 1)


def test_a_choice_that_cannot_be_scored_is_refused_before_anything_runs(network: LlamaForCausalLM) -> None:
    prompts, done = [np.full(150, 5, dtype=np.int32), np.full(155, 5, dtype=np.int32)], []

    def score(*choices: list[int]) -> ChoiceScores:
        given = [np.array(each, dtype=np.int32) for each in choices]
        return score_choices(network, None, prompts, given, on_progress=lambda *each: done.append(each))

    with pytest.raises(ModelError, match="choice 2 holds no token"):
        score([3], [])
    with pytest.raises(ModelError, match="155 tokens leaves room for 5 more, but a choice has 6"):
        score([3], [3] * 6)
    with pytest.raises(ModelError, match="at least one choice"):
        score()
    assert done == []
    assert np.isfinite(score([3], [3] * 5).log_probs_PC).all()


def test_a_network_that_computes_nan_scores_nothing(network: LlamaForCausalLM) -> None:
    broken = LlamaForCausalLM(network.config).eval()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        score_choices(broken, None, sessions(calls=1), CHOICES)


def test_a_responder_scores_as_the_tuned_model_or_as_its_base(network: LlamaForCausalLM, virtual: object) -> None:
    prompts = sessions(calls=1)

    def scores(*, tuned: bool) -> np.ndarray:
        responder = Responder(network=network, adapter=virtual, renderer=None, sampling=Sampling(), tuned=tuned)
        return responder.choice_scores(prompts, CHOICES).log_probs_PC

    assert np.allclose(scores(tuned=False), score_choices(network, None, prompts, CHOICES).log_probs_PC)
    assert np.abs(scores(tuned=True) - scores(tuned=False)).max() > 0.1
