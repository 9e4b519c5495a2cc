"""A rendered sequence: what the model sees, and what it must write."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunelab.sources.row import Origin

TokenIds = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendered:
    """One trained sequence: prompt, then completion. Loss falls on the completion only."""

    prompt_ids: TokenIds
    """(P,) what serving would send; empty for plain text."""
    completion_ids: TokenIds
    """(C,) what the model must write, its end-of-turn token included unless it was cut away."""
    origin: Origin
    conversation: int
    """Index of the conversation in its data set; the sequences of one conversation stay together."""
    turn: int
    """Index of the trained message in the conversation; -1 for plain text."""
    group: str
    """Sequences with equal group should meet in one optimizer step: the session id, or the conversation's own key."""
    cut_prompt: int = 0
    """Prompt tokens removed to fit max_length."""
    cut_completion: int = 0
    """Completion tokens removed to fit max_length (the end-of-turn token among them)."""
    seam: bool = False
    """True where tokenizing prompt and completion together gave no extension of the prompt's own ids."""
    ends: bool = True
    """True where the last completion token ends the turn, so that the model learns to stop."""

    @property
    def num_tokens(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


DropReason = Literal["answer cut away", "too long", "no assistant turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A turn that is not trained because of its length or shape."""

    origin: Origin
    turn: int
    """Index of the message in the conversation; -1 where it is the whole conversation."""
    reason: DropReason
    num_tokens: int = 0
    """Prompt and completion tokens before anything was cut; 0 where nothing was rendered."""
    num_trained: int = 0
    """Of these, completion tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A part of a trained message that the chat template does not write, so that it is not trained."""

    origin: Origin
    turn: int
    part: Literal["content", "reasoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What the chat template does with reasoning or with messages before an answer, though the answer is whole."""

    origin: Origin
    turn: int
    """Index of the answer, or of the message that is left out."""
    kind: Literal["empty reasoning", "earlier reasoning", "turn left out"]
    """It writes an empty reasoning block into the answer; it leaves earlier reasoning or a message out of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedSet:
    """The sequences of a data set, and an account of everything that is not in them."""

    sequences: tuple[Rendered, ...]
    num_cut: int
    """Sequences that lost tokens to max_length."""
    num_cut_tokens: int
    dropped: tuple[Dropped, ...]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[Remark, ...] = ()
    look_alikes: tuple[Origin, ...] = ()
    """Conversations with words that look like control tokens (`<|im_end|>` typed by a user); they stay words."""
