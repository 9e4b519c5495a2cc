"""How answers are sampled, and what came of the prompts. Imports no torch, no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen, and when an answer ends. Names and meanings are those of transformers."""

    max_new_tokens: int = 128
    """Longest answer, in tokens; the stop token does not count."""
    temperature: float = 0.0
    """0 takes the most likely token; above, tokens are sampled from the softmax of logits / temperature."""
    top_p: float = 1.0
    """Sample from the fewest tokens whose probabilities reach this sum; 1 leaves all."""
    top_k: int = 0
    """Sample from this many of the most likely tokens; 0 leaves all."""
    min_p: float = 0.0
    """Sample from tokens at least this share as likely as the most likely one; 0 leaves all."""
    repetition_penalty: float = 1.0
    """Above 1, tokens of the prompt and of the answer so far become less likely; 1 changes nothing."""
    stop_strings: tuple[str, ...] = ()
    """An answer ends before the first of these texts; special tokens are no part of its text."""
    seed: int = 42
    """Seed of the sampling. Each prompt has its own stream of random numbers, whatever the batch size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model wrote after one prompt."""

    token_ids: tuple[int, ...]
    """The answer without its stop token."""
    stopped: bool
    """True if the model ended by itself or at a stop string, False if it ran out of tokens or positions."""
    duration_s: float
    """Seconds from the start of its batch to its own end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A completion as text."""

    text: str
    """Without special tokens, and without what follows a stop string."""
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompletionScores:
    """How likely given completions of some prompts are."""

    log_probs: tuple[NDArray[np.float64], ...]
    """Of each prompt, those of its completions, in nats: the sum over all tokens of a completion."""
    num_tokens_run: int
    """Tokens that ran through the network for it, those that prompts and completions share once."""
