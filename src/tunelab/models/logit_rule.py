"""What a network does between its head and its logits: nothing, scale them, cap them. A trial finds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from tunelab.models.loaded_model import in_eval_mode

_SMALL, _LARGE = 2.0**-20, 2.0**40
"""Head outputs of the trial: the one lies below every cap, the other above."""
_rules: "WeakKeyDictionary[PreTrainedModel, LogitRule | None]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitRule:
    """How the outputs of a head become logits: Granite and Cohere scale them, Gemma caps them, most leave them."""

    scale: float = 1.0
    """What the outputs are multiplied by."""
    cap: float | None = None
    """Logits lie between -cap and cap, by tanh; None for no cap."""

    def logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of a head's `outputs`, of any shape."""
        if self.scale != 1:
            outputs = outputs * self.scale
        return outputs if self.cap is None else torch.tanh(outputs / self.cap) * self.cap


def logit_rule(network: PreTrainedModel) -> LogitRule | None:
    """Return the rule of `network`; None if it does something else there. It is remembered as long as it lives.

    The first call must come while the network has the attention that it was loaded with.
    """
    if network not in _rules:
        _rules[network] = _tried(network)
    return _rules[network]


def _tried(network: PreTrainedModel) -> LogitRule | None:
    """Return the rule that one token shows when known numbers take the place of the head's outputs."""
    with _head_replaced(network) as known, torch.no_grad(), in_eval_mode(network):
        token = torch.ones(1, 1, dtype=torch.long, device=network.device)
        logits_V = network(input_ids=token, use_cache=False).logits.flatten().float()
    if len(known) != 1 or known[0].shape != logits_V.shape:
        return None
    small, large = logits_V[:2].tolist()
    scale = small / _SMALL
    rule = LogitRule(scale=scale, cap=large if abs(large) < abs(scale) * _LARGE / 2 else None)
    return rule if torch.allclose(rule.logits(known[0]), logits_V, rtol=1e-5, atol=1e-5) else None


@contextmanager
def _head_replaced(network: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Let the head of `network` give known numbers within the context; yield a list that gets them at each call."""
    known: list[torch.Tensor] = []

    def replace(_: torch.nn.Module, inputs: tuple[Any, ...], outputs: torch.Tensor) -> torch.Tensor | None:
        if len(inputs) != 1:  # it takes more than hidden states
            return None
        numbers_V = torch.linspace(-50, 50, outputs.shape[-1], device=outputs.device)
        numbers_V[:2] = torch.tensor([_SMALL, _LARGE])
        known.append(numbers_V)
        return numbers_V.expand(*outputs.shape).clone()  # a network may change them in place

    head = network.get_output_embeddings()
    hook = head.register_forward_hook(replace) if head is not None else None
    try:
        yield known
    finally:
        if hook is not None:
            hook.remove()
