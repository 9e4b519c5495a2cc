"""Answers: many prompts at once, or one as a stream."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.generation.completion import Completion, Sampling
from tunelab.generation.decode import decode, may_differ_in_length, positions_left
from tunelab.rendering.rendered import TokenIds


def generate(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    *,
    sampling: Sampling,
    stop_ids: Sequence[int],
    batch_size: int = 16,
    is_over: Callable[[Sequence[int]], bool] = lambda token_ids: False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Completion]:
    """Return the completion of each prompt, in the order of the prompts.

    Args:
        network: the base model, on any device, with `adapter` attached to it; it is left as it was.
        adapter: what is attached, for its virtual tokens or prefix; None for a network without one.
        stop_ids: tokens that end an answer.
        batch_size: prompts that run together; similar lengths meet (equal ones, if a state is carried along the
            row), and the longest run first, so that memory fails early or never.
        is_over: called with the tokens of an answer after each of them; True ends it.
        on_progress: called with (answers done, answers in all) after each finished answer.

    Raises:
        ModelError: a prompt is empty or longer than the model's positions, or the network computes NaN.
    """
    positions_left(network, adapter, prompts)  # all of them, before the first is run
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    completions: dict[int, Completion] = {}
    mixed = may_differ_in_length(network, adapter, prompts, sampling)
    alike = [order] if mixed else [list(each) for _, each in groupby(order, key=lambda index: len(prompts[index]))]
    for indices in (group[at : at + batch_size] for group in alike for at in range(0, len(group), batch_size)):
        written: list[list[int]] = [[] for _ in indices]
        started = time.perf_counter()
        batch = [prompts[index] for index in indices]
        done: set[int] = set()
        tokens = decode(network, adapter, batch, indices=indices, sampling=sampling, stop_ids=stop_ids, done=done)
        for row, token, last in tokens:
            if token is not None:
                written[row].append(token)
            stopped = token is None or is_over(written[row])
            if last or stopped:
                done.add(row)
                duration_s = time.perf_counter() - started
                completions[indices[row]] = Completion(
                    token_ids=tuple(written[row]), stopped=stopped, duration_s=duration_s
                )
                if on_progress is not None:
                    on_progress(len(completions), len(prompts))
    return [completions[index] for index in range(len(prompts))]


def stream(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompt_ids: TokenIds,
    *,
    sampling: Sampling,
    stop_ids: Sequence[int],
) -> Iterator[int]:
    """Yield the tokens after one prompt as they are written, the same as `generate` gives; without the stop token.

    Raises:
        ModelError: as `generate`.
    """
    for _, token, _ in decode(network, adapter, [prompt_ids], indices=[0], sampling=sampling, stop_ids=stop_ids):
        if token is not None:
            yield token
