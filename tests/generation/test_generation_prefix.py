"""A prefix starts the cache of every answer, as in stock peft's own generate."""

import warnings
from pathlib import Path

import numpy as np
import peft
import pytest
import torch

from lively_networks import SHAPES, lively_network, moved_prefix
from tunelab.errors import ModelError
from tunelab.generation.completion import Completion, Sampling
from tunelab.generation.decode import decode
from tunelab.generation.generate import generate, stream
from tunelab.generation.rows import RowReader
from tunelab.generation.trie import can_share

STOP = 2
GREEDY = Sampling(max_new_tokens=12)
WINDOWED = ("mistral", "gemma3", "windowed and full layers")


def ids_of(answers: list[Completion]) -> list[list[int]]:
    return [list(answer.token_ids) for answer in answers]


@pytest.mark.parametrize("shape", SHAPES)
def test_pain_27_a_prefix_answers_as_stock_peft_does_whatever_the_batch(
    shape: str, prompts: list[np.ndarray], tmp_path: Path
) -> None:
    network = lively_network(shape)
    adapter = moved_prefix(network)
    adapter.save(tmp_path)
    prompts = [np.minimum(prompt, 49) for prompt in prompts]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        stock = peft.PeftModel.from_pretrained(lively_network(shape), str(tmp_path)).eval()

    def stock_answer(prompt: np.ndarray) -> list[int]:
        ids = torch.tensor(prompt, dtype=torch.long)[None]
        out = stock.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=STOP
        )
        answer: list[int] = out[0, ids.shape[1] :].tolist()
        return answer[: answer.index(STOP)] if STOP in answer else answer

    expected = [stock_answer(prompt) for prompt in prompts]
    assert len({tuple(answer) for answer in expected}) > 4
    for batch_size in (1, 3, 8):
        answers = generate(network, adapter, prompts, sampling=GREEDY, stop_ids=[STOP], batch_size=batch_size)
        assert ids_of(answers) == expected
    assert list(stream(network, adapter, prompts[1], sampling=GREEDY, stop_ids=[STOP])) == expected[1]
    with adapter.disabled():
        base = ids_of(generate(network, adapter, prompts, sampling=GREEDY, stop_ids=[STOP]))
    assert base == ids_of(generate(network, None, prompts, sampling=GREEDY, stop_ids=[STOP])) != expected


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_a_beginning_that_all_prompts_share_comes_after_the_prefix(shape: str, prompts: list[np.ndarray]) -> None:
    network = lively_network(shape)
    adapter = moved_prefix(network)
    common = np.arange(3, 43, dtype=np.int32)
    longer = [np.concatenate([common, np.minimum(prompt, 49)]) for prompt in prompts]
    alone = [
        ids_of(generate(network, adapter, [prompt], sampling=GREEDY, stop_ids=[STOP], batch_size=1))[0]
        for prompt in longer
    ]
    assert can_share(network)
    assert ids_of(generate(network, adapter, longer, sampling=GREEDY, stop_ids=[STOP])) == alone


@pytest.mark.parametrize("shape", WINDOWED)
def test_prompts_of_one_length_still_meet_in_a_batch_when_a_window_separates_the_others(shape: str) -> None:
    network = lively_network(shape)
    adapter = moved_prefix(network)
    draw = np.random.default_rng(2)
    prompts = [draw.integers(3, 50, size=size).astype(np.int32) for size in (5, 9, 5, 9, 5)]
    batch_sizes: list[int] = []
    hook = network.register_forward_pre_hook(
        lambda module, args, kwargs: batch_sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        generate(network, adapter, prompts, sampling=Sampling(max_new_tokens=1), stop_ids=[], batch_size=8)
        assert batch_sizes == [2, 3]
        batch_sizes.clear()
        with adapter.disabled():
            generate(network, adapter, prompts, sampling=Sampling(max_new_tokens=1), stop_ids=[], batch_size=8)
    finally:
        hook.remove()
    assert batch_sizes == [5]


def test_the_prefix_takes_positions_from_the_prompt(prompts: list[np.ndarray]) -> None:
    network = lively_network("gpt2")  # 128 learned positions
    adapter = moved_prefix(network, positions=20)
    fits, too_long = np.full(107, 5, dtype=np.int32), np.full(108, 5, dtype=np.int32)
    assert len(generate(network, adapter, [fits], sampling=GREEDY, stop_ids=[])[0].token_ids) == 1
    with pytest.raises(ModelError, match="at most 107 tokens"):
        list(decode(RowReader(network, adapter), [too_long], indices=[0], sampling=GREEDY, stop_ids=[]))
    with adapter.disabled():
        assert len(generate(network, adapter, [too_long], sampling=GREEDY, stop_ids=[])[0].token_ids) == 12


def test_a_half_precision_network_answers_after_a_float32_prefix(prompts: list[np.ndarray]) -> None:
    network = lively_network("llama").to(torch.bfloat16)
    adapter = moved_prefix(network)
    assert {each.dtype for pair in adapter.prefix_keys_values() for each in pair} == {torch.float32}
    answers = generate(network, adapter, [np.minimum(each, 49) for each in prompts], sampling=GREEDY, stop_ids=[])
    assert {len(answer.token_ids) for answer in answers} == {12}
