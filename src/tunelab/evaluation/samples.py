"""What is scored: questions, what each side answered, and its loss over all held-out sequences."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A held-out prompt and the answer that the data gives to it."""

    origin: str
    """file:line."""
    group: str
    """Questions of one conversation or session share it."""
    asked: str
    """The message that is answered."""
    prompt: str
    """All the model sees, as text, its template's marks included."""
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledAnswer:
    """What one side wrote."""

    text: str
    stopped: bool
    """True if the model ended by itself."""
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutLoss:
    """Loss over all held-out sequences, answered or not."""

    mean: float | None
    """Nats per trained token; None if nothing was trained in them."""
    num_sequences: int
    num_trained_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models: its answers in the order of the questions, and its loss."""

    answers: Sequence[SampledAnswer]
    loss: HeldOutLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaskedRows:
    """Held-out sequences that were not answered."""

    reason: str
    count: int
    example: str
    """file:line of the first."""
