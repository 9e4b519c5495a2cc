"""How likely a model holds each of some given answers.

Letters in names: P prompts, C choices, T tokens that are scored, M outputs that are read, V vocabulary.
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
from tunelab.generation.completion import ChoiceScores
from tunelab.generation.decode import positions_left
from tunelab.generation.next_token import refuse_nan
from tunelab.generation.rows import RowReader
from tunelab.generation.trie import Outputs, Trie, can_share
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.rendering.rendered import TokenIds

_MOST_PROMPTS = 64


def score_choices(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    choices: Sequence[TokenIds],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> ChoiceScores:
    """Return the log-probability of each whole choice after each prompt, in the order of both.

    Args:
        network: the base model, on any device, with `adapter` attached to it; it is left as it was.
        adapter: what is attached, for its virtual tokens or prefix; None for a network without one.
        choices: each with the token that ends its turn, if that shall count.
        on_progress: called with (prompts done, prompts in all).

    Raises:
        ModelError: a prompt or choice is empty, both together are longer than the model's positions, or the network
            computes NaN.
    """
    _refuse_if_too_long(network, adapter, prompts, choices)
    scores_PC = np.zeros((len(prompts), len(choices)))
    scored = _along_trie if can_share(network) else _prompt_by_prompt
    num_done = num_run = 0
    for indices, some_PC, tokens in scored(network, adapter, prompts, choices):
        scores_PC[indices] = some_PC
        num_done, num_run = num_done + len(indices), num_run + tokens
        if on_progress is not None:
            on_progress(num_done, len(prompts))
    return ChoiceScores(log_probs_PC=scores_PC, num_tokens_run=num_run)


Scored = Iterator[tuple[list[int], NDArray[np.float64], int]]
"""Indices of some prompts, the scores of all choices after each, and the tokens that were run for them."""


def _refuse_if_too_long(
    network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds], choices: Sequence[TokenIds]
) -> None:
    if not choices:
        raise ModelError("there is nothing to choose from", expected="at least one choice")
    if empty := [place for place, choice in enumerate(choices, start=1) if len(choice) == 0]:
        raise ModelError(f"choice {empty[0]} holds no token", expected="at least one token to score")
    longest = max(map(len, choices))
    for prompt, room in zip(prompts, positions_left(network, adapter, prompts), strict=True):
        if longest > room:
            raise ModelError(
                f"a prompt of {len(prompt):,} tokens leaves room for {room:,} more, but a choice has {longest:,}",
                expected="choices that fit into the positions of the model",
                remedy="Shorten the conversation or the choices, or choose a base model with more positions.",
            )


def _along_trie(
    network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds], choices: Sequence[TokenIds]
) -> Scored:
    """Yield the scores of some prompts at a time. Prompts and choices are one trie, each of whose tokens runs once."""
    trie = Trie(network, adapter)
    below = sum(len(choice) - 1 for choice in choices)
    for indices in along_trie(prompts, most_rows=_MOST_PROMPTS, passes=0, tokens_below=below):
        before = trie.num_run
        # The last token of a choice is predicted and not run.
        paths = [np.concatenate([prompts[row], choice[:-1]]).astype(np.int32) for row in indices for choice in choices]
        order = sorted(range(len(paths)), key=lambda place: sort_key(paths[place]))
        firsts = [len(prompts[indices[place // len(choices)]]) - 1 for place in order]
        outputs = trie.run([paths[place] for place in order], firsts)
        targets_T = np.concatenate([choices[place % len(choices)] for place in order])
        owners_T = np.repeat(order, [len(choices[place % len(choices)]) for place in order])
        log_probs_T = _log_probs(outputs, targets_T)
        sums = np.bincount(owners_T, weights=log_probs_T, minlength=len(paths))
        yield indices, sums.reshape(len(indices), len(choices)), trie.num_run - before


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
    network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds], choices: Sequence[TokenIds]
) -> Scored:
    """Yield the scores of one prompt at a time, which runs once and is continued by every choice."""
    reader = RowReader(network, adapter)
    for index, prompt in enumerate(prompts):
        rows, logits_CV = reader.read([prompt])
        places, scores_C, num_run = [0] * len(choices), np.zeros(len(choices)), len(prompt)
        left = list(range(len(choices)))
        for written in range(max(map(len, choices))):
            refuse_nan(logits_CV)
            log_probs_CV = logits_CV.log_softmax(dim=-1)
            for place, choice in zip(places, left, strict=True):
                scores_C[choice] += float(log_probs_CV[place, choices[choice][written]])
            going = [at for at, choice in enumerate(left) if len(choices[choice]) > written + 1]
            if not going:
                break
            rows.keep([places[at] for at in going])
            left, places = [left[at] for at in going], list(range(len(going)))
            logits_CV = rows.step([int(choices[choice][written]) for choice in left])
            num_run += len(left)
        yield [index], scores_C[None], num_run
