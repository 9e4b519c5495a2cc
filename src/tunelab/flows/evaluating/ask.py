"""Asking a model, of two sorts: the answer to a prompt, and the log-probability of a completion after one.

What was asked before comes from the cache. Answers are kept as their batch is ready; the batches are those of all
prompts together, whichever of them are kept already, so that a killed evaluation ends with the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tunelab.evaluation.rows.answer_cache import AnswerCache, answer_key, completion_key
from tunelab.evaluation.rows.row import Answer
from tunelab.flows.evaluating.model import Model
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import TokenIds

OnDone = Callable[[int, int], None]
"""Called with how much is done, and how much there is in all."""


def ask_answers(
    model: Model,
    prompts: Sequence[TokenIds],
    sampling: Sampling,
    cache: AnswerCache,
    *,
    repeat: int = 0,
    on_done: OnDone = lambda done, total: None,
) -> list[Answer]:
    """Return the answer to each prompt.

    Args:
        model: what answers; it is opened only if something was not asked before.
        prompts: those of one evaluation together: what they share runs once.
        sampling: how tokens are chosen.
        cache: of the model.
        repeat: numbers answers that are asked for again.
        on_done: told of the answers.

    Raises:
        ModelError: a prompt does not fit, or the network computes NaN.
        StorageError: an answer cannot be kept.
    """
    keys = [answer_key(prompt, sampling, repeat=repeat) for prompt in prompts]
    kept = [cache.get(key) for key in keys]
    num_done = len(prompts) - kept.count(None)
    if num_done < len(prompts):
        on_done(num_done, len(prompts))
        responder = model.responder(sampling)
        for batch in responder.answer_batches(prompts, is_done=lambda index: keys[index] in cache):
            cache.add(
                {
                    keys[index]: Answer(
                        text=response.text,
                        num_tokens=len(response.completion.token_ids),
                        stopped=response.completion.stopped,
                    )
                    for index, response in batch
                }
            )
            num_done = sum(key in cache for key in keys)
            on_done(num_done, len(prompts))
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
        on_done: told of the prompts.

    Raises:
        ModelError: a prompt with its completions does not fit, or the network computes NaN.
        StorageError: a figure cannot be kept.
    """
    keys = [
        [completion_key(prompt, completion) for completion in some]
        for prompt, some in zip(prompts, completions, strict=True)
    ]
    missing = [row for row, some in enumerate(keys) if any(key not in cache for key in some)]
    if missing:
        responder = model.responder(Sampling())
        on_done(len(prompts) - len(missing), len(prompts))
        num_done = len(prompts) - len(missing)
        asked = responder.log_prob_batches([prompts[row] for row in missing], [completions[row] for row in missing])
        for batch in asked:
            cache.add(
                {
                    key: float(log_prob)
                    for index, log_probs in batch
                    for key, log_prob in zip(keys[missing[index]], log_probs, strict=True)
                }
            )
            num_done += len(batch)
            on_done(num_done, len(prompts))
    return [tuple(_log_prob(cache, key) for key in some) for some in keys]


def as_continuation(prompt_ids: TokenIds, completion_ids: TokenIds) -> tuple[TokenIds, TokenIds]:
    """Return a prompt that is not empty, and what follows it: of plain text, the first token is given."""
    if len(prompt_ids):
        return prompt_ids, completion_ids
    return np.asarray(completion_ids[:1]), np.asarray(completion_ids[1:])


def _answer(cache: AnswerCache, key: str) -> Answer:
    kept = cache.get(key)
    assert isinstance(kept, Answer)
    return kept


def _log_prob(cache: AnswerCache, key: str) -> float:
    kept = cache.get(key)
    assert isinstance(kept, float)
    return kept
