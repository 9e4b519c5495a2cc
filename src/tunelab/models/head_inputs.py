"""A network up to its head, and its logits at a few places: those of all places never exist.

Letters in names: M places, C some of them, H hidden, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from tunelab.errors import ModelError
from tunelab.models.logit_rule import LogitRule, logit_rule

Places = tuple[torch.Tensor, torch.Tensor]
"""Row and column, in the network's input, of each output that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadInputs:
    """What the head of a network takes at some places."""

    states: torch.Tensor
    """(M, H) hidden states; the (M, V) logits of a network that does something unknown between head and logits."""
    head: torch.nn.Module
    rule: LogitRule | None
    """How the head's outputs become logits; None if the states are the logits."""
    vocabulary: int

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the (C, V) logits of some of the states."""
        return states if self.rule is None else self.rule.logits(self.head(states[None])[0])


def head_inputs(network: PreTrainedModel, places_M: Places, **inputs: Any) -> HeadInputs:
    """Return what the head takes at `places_M` when the network runs `inputs`, which are those of its forward.

    Raises:
        ModelError: the network does not say which layer is its head.
    """
    rule, head = logit_rule(network), network.get_output_embeddings()
    if head is None:
        raise ModelError("this model does not say which layer is its head", where=network.config.model_type)
    kept: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, states: tuple[Any, ...]) -> tuple[torch.Tensor]:
        states_MH = states[0][places_M]
        kept.append(states_MH)
        return (states_MH[None, : 0 if rule else len(states_MH)],)

    hook = head.register_forward_pre_hook(keep)
    try:
        logits_MV = network(**inputs).logits[0]
    finally:
        hook.remove()
    states = kept[0] if rule else logits_MV
    return HeadInputs(states=states, head=head, rule=rule, vocabulary=logits_MV.shape[-1])
