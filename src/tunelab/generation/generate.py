"""Answers: many prompts at once, or one as a stream."""

import time
from collections.abc import Callable, Iterator, Sequence

from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.generation.batches import along_trie, by_length
from tunelab.generation.completion import Completion, Sampling
from tunelab.generation.decode import Reader, decode, positions_left
from tunelab.generation.rows import RowReader, may_differ_in_length
from tunelab.generation.trie import Trie, can_share
from tunelab.rendering.rendered import TokenIds


def generate(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    *,
    sampling: Sampling,
    stop_ids: Sequence[int],
    batch_size: int = 24,
    is_over: Callable[[Sequence[int]], bool] = lambda token_ids: False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Completion]:
    """Return the completion of each prompt, in the order of the prompts.

    Args:
        network: the base model, on any device, with `adapter` attached to it; it is left as it was.
        adapter: what is attached, for its virtual tokens or prefix; None for a network without one.
        stop_ids: tokens that end an answer.
        batch_size: prompts that are answered together, at most. Those that share most meet, and what they share
            runs once. In a network that cannot share, similar lengths meet (equal ones, if a state is carried along
            the row). What takes the most memory comes first.
        is_over: called with the tokens of an answer after each of them; True ends it.
        on_progress: called with (answers done, answers in all) after each finished answer.

    Raises:
        ModelError: a prompt is empty or longer than the model's positions, or the network computes NaN.
    """
    positions_left(network, adapter, prompts)  # all of them, before the first is run
    reader, batches = _plan(network, adapter, prompts, sampling, batch_size)
    completions: dict[int, Completion] = {}
    for indices in batches:
        written: list[list[int]] = [[] for _ in indices]
        started = time.perf_counter()
        batch = [prompts[index] for index in indices]
        done: set[int] = set()
        tokens = decode(reader, batch, indices=indices, sampling=sampling, stop_ids=stop_ids, done=done)
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


def _plan(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    sampling: Sampling,
    batch_size: int,
) -> tuple[Reader, list[list[int]]]:
    """Return who runs the prompts, and which of them together."""
    if len(prompts) > 1 and can_share(network):
        passes = sampling.max_new_tokens
        return Trie(network, adapter), along_trie(prompts, most_rows=batch_size, passes=passes)
    mixed = may_differ_in_length(network, adapter, prompts, sampling)
    return RowReader(network, adapter), by_length(prompts, most_rows=batch_size, mixed=mixed)


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
    reader = RowReader(network, adapter)
    for _, token, _ in decode(reader, [prompt_ids], indices=[0], sampling=sampling, stop_ids=stop_ids):
        if token is not None:
            yield token
