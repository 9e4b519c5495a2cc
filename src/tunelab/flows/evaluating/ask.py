"""Asking a model, of two sorts: the answer to a prompt, and the log-probabilities of completions after one.

What was asked before comes from the cache. Prompts are asked in parts, each of which is kept as soon as it is whole.
The parts are those of all prompts together, whichever of them are kept: so a killed evaluation ends with the same
figures to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from tunelab.batching.forest import common_prefix, sort_key
from tunelab.evaluation.rows.answer_cache import AnswerCache, answer_key, completion_key
from tunelab.evaluation.rows.evaluated_row import WrittenAnswer
from tunelab.flows.evaluating.model import Model
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import TokenIds

OnDone = Callable[[int, int], None]
"""Called with how much is done, and how much there is in all."""
_FEWEST_PROMPTS = 24
_REPEATED_SHARE = 16
"""A part ends once it holds so many times the tokens that the next one must run again."""


def ask_answers(
    model: Model,
    prompts: Sequence[TokenIds],
    sampling: Sampling,
    cache: AnswerCache,
    *,
    repeat: int = 0,
    on_done: OnDone = lambda done, total: None,
) -> list[WrittenAnswer]:
    """Return the answer to each prompt.

    Args:
        model: what answers; it is opened only if something was not asked before.
        prompts: those of one evaluation together: what they share runs once.
        sampling: how tokens are chosen.
        cache: of the model.
        repeat: numbers answers that are asked for again.
        on_done: called as answers are done.

    Raises:
        ModelError: a prompt does not fit, or the network computes NaN.
        StorageError: an answer cannot be kept.
    """
    keys = [answer_key(prompt, sampling, repeat=repeat) for prompt in prompts]
    for part in _parts(prompts, keys):
        if all(keys[index] in cache for index in part):
            continue
        done_before = sum(key in cache for key in keys)
        responses = model.responder(sampling).answers(
            [prompts[index] for index in part],
            on_progress=lambda done, _, before=done_before: on_done(before + done, len(prompts)),  # type: ignore[misc]
        )
        cache.add(
            {
                keys[index]: WrittenAnswer(
                    text=response.text,
                    num_tokens=len(response.completion.token_ids),
                    stopped=response.completion.stopped,
                )
                for index, response in zip(part, responses, strict=True)
            }
        )
    on_done(len(prompts), len(prompts))
    return [_answer(cache, key) for key in keys]


def ask_log_probs(
    model: Model,
    prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
    cache: AnswerCache,
    *,
    on_done: OnDone = lambda done, total: None,
) -> list[tuple[float, ...]]:
    """Return the log-probabilities (nats) of the whole completions of each prompt.

    Args:
        model: what is asked; it is opened only if something was not asked before.
        prompts: none of them empty.
        completions: of each prompt, each with the token that ends its turn, if that shall count.
        cache: of the model.
        on_done: called as prompts are done.

    Raises:
        ModelError: a prompt with its completions does not fit, or the network computes NaN.
        StorageError: a figure cannot be kept.
    """
    keys = [[completion_key(prompt, each) for each in some] for prompt, some in zip(prompts, completions, strict=True)]
    for part in _parts(prompts, ["".join(some) for some in keys]):
        if all(key in cache for index in part for key in keys[index]):
            continue
        scores = model.responder(Sampling()).completion_scores(
            [prompts[index] for index in part], [completions[index] for index in part]
        )
        cache.add(
            {
                key: float(log_prob)
                for index, log_probs in zip(part, scores.log_probs, strict=True)
                for key, log_prob in zip(keys[index], log_probs, strict=True)
            }
        )
        on_done(sum(some[-1] in cache for some in keys), len(prompts))
    return [tuple(_log_prob(cache, key) for key in some) for some in keys]


def _parts(prompts: Sequence[TokenIds], keys: Sequence[str]) -> list[list[int]]:
    """Return parts of the indices of different prompts, in the order of their ids.

    A part is large enough that the little which the next one shares with it costs little to run again.
    """
    different = list({key: index for index, key in reversed(list(enumerate(keys)))}.values())
    order = sorted(different, key=lambda index: sort_key(np.asarray(prompts[index], dtype=np.int32)))
    if not order:
        return []
    parts, num_tokens = [[order[0]]], len(prompts[order[0]])
    for before, index in pairwise(order):
        shared = common_prefix(prompts[before], prompts[index])
        if len(parts[-1]) >= _FEWEST_PROMPTS and num_tokens >= _REPEATED_SHARE * shared:
            parts.append([])
            num_tokens = 0
        num_tokens += len(prompts[index]) - (shared if parts[-1] else 0)
        parts[-1].append(index)
    return parts


def as_continuation(prompt_ids: TokenIds, completion_ids: TokenIds) -> tuple[TokenIds, TokenIds]:
    """Return a prompt that is not empty, and what follows it: of plain text, the first token is given."""
    if len(prompt_ids):
        return prompt_ids, completion_ids
    return np.asarray(completion_ids[:1]), np.asarray(completion_ids[1:])


def _answer(cache: AnswerCache, key: str) -> WrittenAnswer:
    kept = cache.get(key)
    assert isinstance(kept, WrittenAnswer)
    return kept


def _log_prob(cache: AnswerCache, key: str) -> float:
    kept = cache.get(key)
    assert isinstance(kept, float)
    return kept
