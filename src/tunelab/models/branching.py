"""Whether a network runs forests: what its config declares, and then a trial, for no list of models stays complete."""

import math
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import PreTrainedModel

from tunelab.errors import ModelError
from tunelab.models.architecture import running_kinds
from tunelab.models.attention import ForestLayout, forest_attention, last_layer
from tunelab.models.flash_forest import Segment
from tunelab.models.loaded_model import in_eval_mode
from tunelab.models.logit_rule import logit_rule

_TRUNK, _FIRST, _SECOND = 5, 6, 4  # tokens of the trial: what two rows share, then what each has alone
_reasons: "WeakKeyDictionary[PreTrainedModel, str | None]" = WeakKeyDictionary()


def cannot_branch(network: PreTrainedModel) -> str | None:
    """Return why `network` takes rows instead of forests, in words; None if a forest gives what rows give.

    The answer is remembered as long as the network lives.

    Raises:
        ModelError: tokens see later ones, or the outputs are not finite, so that neither way would train it.
    """
    if network not in _reasons:
        _reasons[network] = _declared(network) or _tried(network)
        if _reasons[network]:
            _refuse_if_it_looks_ahead(network)
    return _reasons[network]


def training_attention(network: PreTrainedModel) -> AbstractContextManager[None]:
    """Return the context in which `network` is trained and measured: over forests, or as it is if it takes rows."""
    logit_rule(network)  # tried now, under the attention that the network was loaded with
    return nullcontext() if cannot_branch(network) else forest_attention(network)


def network_kinds(network: PreTrainedModel) -> list[str]:
    """Return the kinds of layers whose state runs along the row, such as linear attention."""
    text = network.config.get_text_config(decoder=True)
    listed = getattr(text, "layer_types", None)  # often computed, and then in no dictionary
    kinds = running_kinds(text.to_dict() | ({"layer_types": listed} if listed else {}))
    return kinds or (["state space"] if network._is_stateful and not listed else [])


def _declared(network: PreTrainedModel) -> str | None:
    kinds = network_kinds(network)
    return f"layers of kind {', '.join(kinds)} carry a state along the row" if kinds else None


def _tried(network: PreTrainedModel) -> str | None:
    """Return how a forest of two rows fails, None if both get the outputs that each gets alone."""
    ids_N = _trial_ids(network, _TRUNK + _FIRST + _SECOND)
    depths_N = torch.tensor([*range(_TRUNK + _FIRST), *range(_TRUNK, _TRUNK + _SECOND)], device=network.device)
    own = _TRUNK + _FIRST
    spans = [Segment(0, _TRUNK, len(ids_N)), Segment(_TRUNK, own, own), Segment(own, len(ids_N), len(ids_N))]
    read_Q = np.arange(own, len(ids_N), dtype=np.int32)
    layout = ForestLayout(spans_S=spans, longest_path=own, last_read=(last_layer(network), read_Q))
    alone_NV = _alone(network, torch.cat([ids_N[:_TRUNK], ids_N[own:]]))[_TRUNK:]
    try:
        with forest_attention(network):
            inputs = network.get_input_embeddings()(ids_N)[None]
            forest_NV = _logits(network, inputs_embeds=inputs, position_ids=depths_N[None], forest_layout=layout)[own:]
    except Exception as error:  # whatever a model says to an attention that it was not written for
        return f"its attention cannot be replaced ({type(error).__name__}: {str(error).splitlines()[0]:.120})"
    if (difference := _difference(forest_NV, alone_NV)) > _tolerance(network):
        return f"a trial of two branches gave other outputs than two rows (they differ by {difference:.2%})"
    return None


def _refuse_if_it_looks_ahead(network: PreTrainedModel) -> None:
    ids_N = _trial_ids(network, _TRUNK + _FIRST)
    alone_NV = _alone(network, ids_N[:_TRUNK])
    if _difference(_alone(network, ids_N)[:_TRUNK], alone_NV) > _tolerance(network):
        raise ModelError(
            "in this model tokens see those that come after them",
            where=network.config.model_type,
            expected="a causal language model",
        )


def _alone(network: PreTrainedModel, ids_N: torch.Tensor) -> torch.Tensor:
    """Return the (N, vocabulary) logits of one plain row; a ModelError if they are no finite numbers."""
    logits_NV = _logits(network, input_ids=ids_N[None])
    if not logits_NV.isfinite().all():
        raise ModelError(
            f"the outputs of this model are not finite; the first that are not come from {_first_bad(network, ids_N)}",
            where=network.config.model_type,
            expected="no NaN and no infinity",
            remedy="See whether the weights there are whole, and whether they overflow in "
            f"{str(network.dtype).removeprefix('torch.')}: model.torch_dtype can be another.",
        )
    return logits_NV


def _first_bad(network: PreTrainedModel, ids_N: torch.Tensor) -> str:
    """Return the name of the module whose output is the first that is not finite."""
    bad: list[str] = []

    def look(name: str, output: object) -> None:
        tensors = output if isinstance(output, tuple) else (output,)
        if any(isinstance(each, torch.Tensor) and not each.isfinite().all() for each in tensors):
            bad.append(name)

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
        for name, module in network.named_modules()
        if name
    ]
    try:
        _logits(network, input_ids=ids_N[None])
    finally:
        for hook in hooks:
            hook.remove()
    return bad[0] if bad else "the model's last step"


def _trial_ids(network: PreTrainedModel, number: int) -> torch.Tensor:
    # Spread over the vocabulary, each another one, whatever its size.
    vocabulary = len(network.get_input_embeddings().weight)
    return torch.arange(1, number + 1, device=network.device) * 7919 % vocabulary


def _logits(network: PreTrainedModel, **inputs: object) -> torch.Tensor:
    """Return the (N, vocabulary) logits of one row."""
    with torch.no_grad(), in_eval_mode(network):
        logits_NV: torch.Tensor = network(**inputs, use_cache=False).logits[0]
    return logits_NV.float()


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the distance of two outputs relative to how much the second varies; infinite if that is no number."""
    spread = other - other.mean(dim=-1, keepdim=True)
    ratio = float((one - other).norm() / spread.norm())
    return math.inf if math.isnan(ratio) else ratio


def _tolerance(network: PreTrainedModel) -> float:
    if getattr(network, "is_loaded_in_8bit", False):
        # int8 picks the columns that it leaves unrounded from all tokens of a call: on `nano` outputs differ by 2 %.
        return 0.1
    return math.pow(torch.finfo(network.dtype).eps, 2 / 3)  # a third of the digits may be lost on the way
