"""The one loop that writes tokens. A batch of answers and a streamed one are both read from it.

Shapes: B rows that still write, N vocabulary.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.errors import ModelError
from tunelab.generation.completion import Sampling
from tunelab.generation.next_token import NextToken
from tunelab.generation.rows import Rows
from tunelab.rendering.rendered import TokenIds


class Reader(Protocol):
    """Runs prompts, so that they can be continued."""

    network: PreTrainedModel
    adapter: Adapter | None

    def read(self, prompts: Sequence[TokenIds]) -> tuple[Rows, torch.Tensor]:
        """Return the rows of some prompts, in their order, and the logits (B, N) of each one's next token."""
        ...


def decode(
    reader: Reader,
    prompts: Sequence[TokenIds],
    *,
    indices: Sequence[int],
    sampling: Sampling,
    stop_ids: Sequence[int],
    done: Collection[int] = (),
) -> Iterator[tuple[int, int | None, bool]]:
    """Yield `(row, token, last)` as the tokens of a batch are written, rows in order within each step.

    A stop token is yielded as None. A row leaves the batch, and its cache with it, once it is done.

    Args:
        reader: runs the prompts.
        indices: names each prompt's stream of random draws, so that regrouping prompts changes no answer.
        done: rows that whoever reads the tokens needs no more of; it may grow while they are read.

    Raises:
        ModelError: a prompt does not fit, or the network computes no numbers.
    """
    room = positions_left(reader.network, reader.adapter, prompts)
    budgets = [min(sampling.max_new_tokens, left) for left in room]
    next_token = NextToken(sampling, prompts, indices)
    batch, logits_BN = reader.read(prompts)
    rows, num_written = list(range(len(prompts))), 0
    while rows:
        tokens = next_token.choose(logits_BN, rows)
        num_written += 1
        stay = []
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            stopped = token in stop_ids
            last = stopped or num_written >= budgets[row]
            yield row, None if stopped else token, last
            if not last and row not in done:
                stay.append(place)
        if not stay:
            return
        if len(stay) < len(rows):
            batch.keep(stay)
        rows = [rows[place] for place in stay]
        logits_BN = batch.step([tokens[place] for place in stay])


def positions_left(network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds]) -> list[int]:
    """Return how many tokens may follow each prompt within the positions of the network.

    Raises:
        ModelError: a prompt is empty, or leaves no position for an answer.
    """
    limit = longest_prompt(network, adapter) + 1
    for prompt in prompts:
        if len(prompt) == 0:
            raise ModelError("a prompt holds no token", expected="at least one token to answer to")
        if len(prompt) >= limit:
            raise ModelError(
                f"a prompt of {len(prompt):,} tokens leaves no room for an answer",
                expected=f"at most {limit - 1:,} tokens (the model has {_positions(network):,} positions)",
                remedy="Shorten the conversation or the tool catalogue, or choose a base model with more positions.",
            )
    return [limit - len(prompt) for prompt in prompts]


def longest_prompt(network: PreTrainedModel, adapter: Adapter | None) -> int:
    """Return the tokens of the longest prompt that leaves a position for an answer."""
    taken = adapter.num_virtual_tokens + adapter.num_prefix_positions if adapter is not None else 0
    return _positions(network) - taken - 1


def _positions(network: PreTrainedModel) -> int:
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(positions) if positions else 2**31
