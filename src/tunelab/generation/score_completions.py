"""How likely a model holds given completions of prompts: choices, references, any text.

Letters in names: P prompts, C completions of a prompt, T tokens that are scored, M outputs that are read, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.forest import Indices, sort_key
from tunelab.errors import ModelError
from tunelab.generation.batches import along_trie
from tunelab.generation.completion import CompletionScores
from tunelab.generation.decode import positions_left
from tunelab.generation.next_token import refuse_nan
from tunelab.generation.rows import RowReader
from tunelab.generation.trie import Outputs, Trie, can_share
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.rendering.rendered import TokenIds

_MOST_PROMPTS = 64


def score_completions(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> CompletionScores:
    """Return the log-probability of each whole completion of each prompt, in the order of both.

    Args:
        network: the base model, on any device, with `adapter` attached to it; it is left as it was.
        adapter: what is attached, for its virtual tokens or prefix; None for a network without one.
        prompts: none of them empty.
        completions: of each prompt, one or more, each with the token that ends its turn, if that shall count.
        on_progress: called with (prompts done, prompts in all).

    Raises:
        ModelError: a prompt or completion is empty, both together are longer than the model's positions, or the network
            computes NaN.
    """
    _refuse_if_too_long(network, adapter, prompts, completions)
    scores_P: list[NDArray[np.float64]] = [np.zeros(0)] * len(prompts)
    scored = _along_trie if can_share(network) else _prompt_by_prompt
    num_done = num_run = 0
    for indices, scores, tokens in scored(network, adapter, prompts, completions):
        for index, scores_C in zip(indices, scores, strict=True):
            scores_P[index] = scores_C
        num_done, num_run = num_done + len(indices), num_run + tokens
        if on_progress is not None:
            on_progress(num_done, len(prompts))
    return CompletionScores(log_probs=tuple(scores_P), num_tokens_run=num_run)


Scored = Iterator[tuple[list[int], list[NDArray[np.float64]], int]]
"""Indices of some prompts, the scores (C) of the completions of each, and the tokens that were run for them."""


def _refuse_if_too_long(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
) -> None:
    rooms = positions_left(network, adapter, prompts)
    for prompt, some, room in zip(prompts, completions, rooms, strict=True):
        if not len(some):
            raise ModelError("there is nothing to choose from", expected="at least one completion of each prompt")
        if empty := [place for place, each in enumerate(some, start=1) if len(each) == 0]:
            raise ModelError(f"completion {empty[0]} holds no token", expected="at least one token to score")
        longest = max(map(len, some))
        if longest > room:
            raise ModelError(
                f"a prompt of {len(prompt):,} tokens leaves room for {room:,} more, but a completion has {longest:,}",
                expected="completions that fit into the positions of the model",
                remedy="Shorten the conversation or the answers, or choose a base model with more positions.",
            )


def _along_trie(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
) -> Scored:
    """Yield the scores of some prompts at a time; prompts and completions are one trie, each token of it runs once."""
    trie = Trie(network, adapter)
    below = [sum(len(each) - 1 for each in some) for some in completions]
    for indices in along_trie(prompts, most_rows=_MOST_PROMPTS, passes=0, tokens_below=below):
        before = trie.num_run
        pairs = [(prompts[row], each) for row in indices for each in completions[row]]
        # The last token of a completion is predicted and not run.
        paths = [np.concatenate([prompt, each[:-1]]).astype(np.int32) for prompt, each in pairs]
        order = sorted(range(len(paths)), key=lambda place: sort_key(paths[place]))
        outputs = trie.run([paths[place] for place in order], [len(pairs[place][0]) - 1 for place in order])
        targets_T = np.concatenate([pairs[place][1] for place in order])
        owners_T = np.repeat(order, [len(pairs[place][1]) for place in order])
        sums = np.bincount(owners_T, weights=_log_probs(outputs, targets_T), minlength=len(paths))
        ends = np.cumsum([len(completions[row]) for row in indices])[:-1]
        yield indices, np.split(sums, ends), trie.num_run - before


def _log_probs(outputs: Outputs, targets_T: Indices) -> NDArray[np.float64]:
    """Return the log-probability of each target at the output that is read for it, a chunk of outputs at a time."""
    states, reads_T = outputs.head.states, np.concatenate(outputs.reads)
    log_probs_T = np.zeros(len(targets_T))
    size = chunk_tokens(outputs.head.vocabulary, on_gpu=states.device.type == "cuda")
    for start in range(0, len(states), size):
        here = np.flatnonzero((reads_T >= start) & (reads_T < start + size))
        with torch.inference_mode():
            logits_MV = outputs.head.logits(states[start : start + size]).float()
            refuse_nan(logits_MV)
            rows, targets = (
                torch.from_numpy(each).long().to(states.device) for each in (reads_T[here] - start, targets_T[here])
            )
            found = logits_MV[rows, targets] - logits_MV.logsumexp(dim=-1)[rows]
        log_probs_T[here] = found.cpu().numpy()
    return log_probs_T


def _prompt_by_prompt(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
) -> Scored:
    """Yield the scores of one prompt at a time, which runs once and is continued by every completion."""
    reader = RowReader(network, adapter)
    for index, (prompt, some) in enumerate(zip(prompts, completions, strict=True)):
        rows, logits_CV = reader.read([prompt])
        places, scores_C, num_run = [0] * len(some), np.zeros(len(some)), len(prompt)
        left = list(range(len(some)))
        for written in range(max(map(len, some))):
            refuse_nan(logits_CV)
            log_probs_CV = logits_CV.log_softmax(dim=-1)
            for place, each in zip(places, left, strict=True):
                scores_C[each] += float(log_probs_CV[place, some[each][written]])
            going = [at for at, each in enumerate(left) if len(some[each]) > written + 1]
            if not going:
                break
            rows.keep([places[at] for at in going])
            left, places = [left[at] for at in going], list(range(len(going)))
            logits_CV = rows.step([int(some[each][written]) for each in left])
            num_run += len(left)
        yield [index], [scores_C], num_run
