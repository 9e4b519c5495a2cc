import hashlib

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tunelab.errors import ModelError
from tunelab.generation.batches import along_trie, by_length
from tunelab.generation.completion import Sampling
from tunelab.generation.generate import generate, stream
from tunelab.generation.trie import can_share

STOP = 2
GREEDY = Sampling(max_new_tokens=24)


def stock_answer(network: torch.nn.Module, prompt: np.ndarray, max_new_tokens: int = 24) -> list[int]:
    ids = torch.tensor(prompt, dtype=torch.long)[None]
    out = network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=STOP
    )
    answer = out[0, ids.shape[1] :].tolist()
    return answer[: answer.index(STOP)] if STOP in answer else answer


def test_greedy_answers_are_those_of_transformers_whatever_the_batch(network, prompts):
    expected = [stock_answer(network, prompt) for prompt in prompts]
    assert len({tuple(answer) for answer in expected}) > 4
    for batch_size in (1, 3, 8):
        answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP], batch_size=batch_size)
        assert [list(answer.token_ids) for answer in answers] == expected


def test_prompts_with_a_common_beginning_are_answered_as_if_each_came_alone(network, prompts):
    common = np.arange(3, 55, dtype=np.int32)
    longer = [np.concatenate([common, prompt]) for prompt in prompts]
    longer.append(common)  # a prompt that is itself the beginning of the others
    answers = generate(network, None, longer, sampling=GREEDY, stop_ids=[STOP])
    assert [list(answer.token_ids) for answer in answers] == [stock_answer(network, prompt) for prompt in longer]


def test_sliding_windows_are_answered_as_by_transformers(prompts):
    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=160, initializer_range=0.4, sliding_window=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=STOP,
    )  # fmt: skip
    network = MistralForCausalLM(config).eval()
    common = np.arange(3, 45, dtype=np.int32)
    prompts = [*prompts, *(np.concatenate([common, prompt]) for prompt in prompts)]
    for some in (prompts, prompts[8:]):
        answers = generate(network, None, some, sampling=GREEDY, stop_ids=[STOP])
        assert [list(answer.token_ids) for answer in answers] == [stock_answer(network, prompt) for prompt in some]


def test_a_stream_gives_the_tokens_of_the_batch(network, prompts):
    for sampling in (GREEDY, Sampling(max_new_tokens=24, temperature=0.8, seed=7)):
        batch = generate(network, None, prompts[:1], sampling=sampling, stop_ids=[STOP])
        streamed = tuple(stream(network, None, prompts[0], sampling=sampling, stop_ids=[STOP]))
        assert streamed == batch[0].token_ids
        assert streamed


def test_pain_03_an_answer_says_whether_it_ended_by_itself(network, prompts):
    answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP])
    assert {answer.stopped for answer in answers} == {True, False}
    for answer in answers:
        assert STOP not in answer.token_ids
        assert len(answer.token_ids) == 24 or answer.stopped
    endless = generate(network, None, prompts, sampling=GREEDY, stop_ids=[])
    assert not any(answer.stopped for answer in endless)
    assert {len(answer.token_ids) for answer in endless} == {24}


def test_finished_rows_leave_the_batch(network, prompts):
    batch_sizes = []
    assert can_share(network)
    hook = network.model.register_forward_pre_hook(
        lambda module, args, kwargs: batch_sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        answers = generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP])
    finally:
        hook.remove()
    # One pass writes a token or a stop token of each row in it; the first one reads all prompts as one row.
    assert batch_sizes[0] == 1
    assert len(prompts) + sum(batch_sizes[1:]) == sum(len(answer.token_ids) + answer.stopped for answer in answers)
    assert min(batch_sizes[1:]) < len(prompts)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_sampling_gives_the_same_answers_for_a_seed_whatever_the_batch(network, prompts, temperature):
    def answers(seed: int, batch_size: int) -> list[tuple[int, ...]]:
        sampling = Sampling(max_new_tokens=16, temperature=temperature, seed=seed)
        sampled = generate(network, None, prompts, sampling=sampling, stop_ids=[STOP], batch_size=batch_size)
        return [answer.token_ids for answer in sampled]

    before = hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()
    assert answers(1, 8) == answers(1, 3) == answers(1, 1)
    assert answers(1, 8) != answers(2, 8)
    assert hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest() == before


def test_sampled_tokens_follow_the_softmax_of_logits_over_temperature(network):
    prompt = np.array([5, 9, 11], dtype=np.int32)
    temperature = 3.0
    with torch.inference_mode():
        logits = network(torch.tensor(prompt, dtype=torch.long)[None]).logits[0, -1]
    expected = (logits / temperature).softmax(0)
    sampling = Sampling(max_new_tokens=1, temperature=temperature)
    answers = generate(network, None, [prompt] * 2000, sampling=sampling, stop_ids=[], batch_size=500)
    sampled = np.bincount([answer.token_ids[0] for answer in answers], minlength=61) / 2000
    assert np.abs(sampled - expected.numpy()).sum() / 2 < 0.1
    assert np.abs(sampled - logits.softmax(0).numpy()).sum() / 2 > 0.2


def test_virtual_tokens_come_in_front_of_every_prompt(network, prompts, virtual):
    def alone(prompt: np.ndarray) -> list[int]:
        embedded = torch.cat([virtual.vectors, network.get_input_embeddings()(torch.tensor(prompt))])[None]
        written: list[int] = []
        while len(written) < 24:
            token = int(network(inputs_embeds=embedded).logits[0, -1].argmax())
            if token == STOP:
                break
            written.append(token)
            embedded = torch.cat([embedded, network.get_input_embeddings()(torch.tensor([[token]]))], dim=1)
        return written

    expected = [alone(prompt) for prompt in prompts]
    for batch_size in (1, 3, 8):
        answers = generate(network, virtual, prompts, sampling=GREEDY, stop_ids=[STOP], batch_size=batch_size)
        assert [list(answer.token_ids) for answer in answers] == expected
    with virtual.disabled():
        base = generate(network, virtual, prompts, sampling=GREEDY, stop_ids=[STOP])
    assert [answer.token_ids for answer in base] == [
        answer.token_ids for answer in generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP])
    ]


def test_the_network_is_left_as_it_was(network, prompts):
    network.train()
    network.model.layers[0].eval()
    before = {name: module.training for name, module in network.named_modules()}
    config = network.config.to_dict()
    try:
        answering = stream(network, None, prompts[0], sampling=GREEDY, stop_ids=[])
        next(answering)
        assert {name: module.training for name, module in network.named_modules()} == before
        answering.close()
        with pytest.raises(ModelError):
            generate(network, None, [np.array([], dtype=np.int32)], sampling=GREEDY, stop_ids=[])
        generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP])
        assert {name: module.training for name, module in network.named_modules()} == before
        assert network.config.to_dict() == config
    finally:
        network.eval()


def test_a_prompt_longer_than_the_positions_is_refused_before_any_is_answered(network, prompts, virtual):
    done: list[int] = []
    too_long = np.ones(160, dtype=np.int32)
    with pytest.raises(ModelError, match=r"a prompt of 160 tokens .* at most 159 tokens .* 160 positions"):
        generate(
            network,
            None,
            [*prompts, too_long],
            sampling=GREEDY,
            stop_ids=[],
            on_progress=lambda n, total: done.append(n),
        )
    with pytest.raises(ModelError, match="at most 119 tokens"):
        generate(network, virtual, [too_long[:120]], sampling=GREEDY, stop_ids=[])
    assert done == []
    assert len(generate(network, virtual, [too_long[:119]], sampling=GREEDY, stop_ids=[])[0].token_ids) == 1


def test_an_answer_ends_where_the_positions_end(network):
    answer = generate(network, None, [np.ones(150, dtype=np.int32)], sampling=GREEDY, stop_ids=[])[0]
    assert len(answer.token_ids) == 10
    assert not answer.stopped


def test_pain_18_what_takes_the_most_memory_runs_first(prompts):
    longest_first = [row for batch in by_length(prompts, most_rows=2, mixed=True) for row in batch]
    assert [len(prompts[row]) for row in longest_first] == sorted(map(len, prompts), reverse=True)
    batches = along_trie(prompts, most_rows=2, passes=1)
    taken = [len(batch) * max(len(prompts[row]) for row in batch) for batch in batches]
    assert len(batches) > 3
    assert taken[0] == max(taken) > min(taken)


def test_a_network_that_computes_nan_is_an_error_not_an_answer(prompts, network):
    broken = LlamaForCausalLM(network.config).eval()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    for temperature in (0.0, 1.0):
        with pytest.raises(ModelError, match="NaN"):
            generate(broken, None, prompts, sampling=Sampling(temperature=temperature), stop_ids=[])
