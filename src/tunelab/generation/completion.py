"""How answers are drawn, and what came of one prompt. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen, and how many there may be."""

    max_new_tokens: int = 128
    """Longest answer, in tokens; the stop token does not count."""
    temperature: float = 0.0
    """0 takes the most likely token; above, tokens are drawn from the softmax of logits / temperature."""
    seed: int = 42
    """Seed of the draws. Each prompt has its own stream of them, whatever the batch size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model wrote behind one prompt."""

    token_ids: tuple[int, ...]
    """The answer without its stop token."""
    stopped: bool
    """True where the model ended by itself, False where it ran out of tokens or positions."""
    duration_s: float
    """Seconds from the start of its batch to its own end."""
