"""Rows that are continued token by token: their keys and values, padded to one length.

Shapes: B rows that still write, T positions of this pass, L positions so far, V virtual tokens, H hidden, N vocabulary.
"""

import inspect
from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from tunelab.adapters.adapter import Adapter
from tunelab.generation.completion import Sampling
from tunelab.models.attention import sliding_windows
from tunelab.models.branching import network_kinds
from tunelab.models.loaded_model import in_eval_mode
from tunelab.rendering.rendered import TokenIds

# Models that carry a state and take no cache but one of their own.
_OWN_CACHES = ("minimax",)


class Rows:
    """The rows that still write: their keys and values, and which positions of each are real.

    Padding lies on the left of each row, or between a prefix and the rest; the mask hides it and positions do not
    count it.
    """

    def __init__(self, network: PreTrainedModel, cache: DynamicCache, mask_BL: torch.Tensor) -> None:
        self.network, self.cache, self.mask_BL = network, cache, mask_BL
        self.carries_state = bool(network_kinds(network))
        # A state that transformers has no common cache for: the whole row is run again for each token.
        has_state = any(type(layer) is not DynamicLayer for layer in cache.layers)
        self.runs_again = self.carries_state and (not has_state or network.config.model_type in _OWN_CACHES)
        self.embedded_BLH: torch.Tensor | None = None  # what was run, for when it is run again
        takes = inspect.signature(network.forward).parameters
        self.cache_name = "cache_params" if "cache_params" in takes else "past_key_values"
        self.takes_positions = "position_ids" in takes or not self.carries_state

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row and return the logits (B, N) of the next."""
        ids_BT = torch.tensor(tokens, dtype=torch.long, device=self.network.device)[:, None]
        return self.run(list(ids_BT), torch.empty(0, 0))

    def keep(self, places: Sequence[int]) -> None:
        """Let go of all rows but those at `places`."""
        places_B = torch.tensor(places, device=self.network.device)
        with torch.inference_mode():
            self.cache.reorder_cache(places_B)
            if self.embedded_BLH is not None:
                self.embedded_BLH = self.embedded_BLH[places_B]
        self.mask_BL = self.mask_BL[places_B]

    def run(self, rows: list[torch.Tensor], virtual_VH: torch.Tensor) -> torch.Tensor:
        """Append the virtual tokens and some ids to each row and return the logits (B, N) of the next token."""
        with torch.inference_mode(), in_eval_mode(self.network):
            real_BT = left_padded([torch.ones(len(virtual_VH) + len(row), dtype=torch.long) for row in rows])
            real_BT = real_BT.to(self.network.device)
            self.mask_BL = torch.cat([self.mask_BL, real_BT], dim=1)
            positions_BT = (self.mask_BL.cumsum(1) - 1).clamp(min=0)[:, -real_BT.shape[1] :]
            if len(virtual_VH) or self.runs_again:
                embed = self.network.get_input_embeddings()
                embedded = [embed(row) for row in rows]
                together = [torch.cat([virtual_VH.to(row), row]) if len(virtual_VH) else row for row in embedded]
                inputs = {"inputs_embeds": left_padded(together)}
            else:
                inputs = {"input_ids": left_padded(rows)}
            if self.runs_again:
                parts = [each for each in (self.embedded_BLH, inputs["inputs_embeds"]) if each is not None]
                self.embedded_BLH = inputs["inputs_embeds"] = torch.cat(parts, dim=1)
            else:
                # If a state is carried, rows are of one length and nothing is hidden; some count positions by the
                # cache of their first layer, which may hold no keys.
                inputs |= {} if self.carries_state else {"attention_mask": self.mask_BL}
                inputs |= {"position_ids": positions_BT} if self.takes_positions else {}
            cache = {} if self.runs_again else {self.cache_name: self.cache}
            output = self.network(**inputs, **cache, use_cache=not self.runs_again, logits_to_keep=1, return_dict=True)
            logits_BN: torch.Tensor = output.logits[:, -1].float()
            return logits_BN


class RowReader:
    """Runs prompts as padded rows, each as it is: for networks that cannot share, and for a prompt on its own."""

    def __init__(self, network: PreTrainedModel, adapter: Adapter | None) -> None:
        self.network, self.adapter = network, adapter

    def read(self, prompts: Sequence[TokenIds]) -> tuple[Rows, torch.Tensor]:
        """Run prompts; return their rows, ready to be continued, and the logits (B, N) of each one's next token."""
        device = self.network.device
        cache, num_prefix, virtual_VH = new_cache(self.network, self.adapter)
        if num_prefix:
            cache.batch_repeat_interleave(len(prompts))
        rows = Rows(self.network, cache, torch.ones(len(prompts), num_prefix, dtype=torch.long, device=device))
        ids = [torch.as_tensor(prompt, dtype=torch.long, device=device) for prompt in prompts]
        return rows, rows.run(ids, virtual_VH)


def new_cache(network: PreTrainedModel, adapter: Adapter | None) -> tuple[DynamicCache, int, torch.Tensor]:
    """Return a cache of one row that holds the adapter's prefix, its positions, and the virtual tokens (V, H)."""
    cache = DynamicCache(config=network.config)
    if adapter is None:
        return cache, 0, torch.empty(0, 0)
    with torch.inference_mode():
        for layer, pair in enumerate(adapter.prefix_keys_values()):
            cache.update(*(each.to(network.dtype) for each in pair), layer)
        return cache, adapter.num_prefix_positions, adapter.virtual_embeddings()


def may_differ_in_length(
    network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds], sampling: Sampling
) -> bool:
    """Tell whether prompts of different lengths can be padded to one batch.

    Padding would run through a state that is carried along the row. Between a prefix and the shorter prompts a sliding
    window counts it, so that it would leave the prefix too early.
    """
    if network_kinds(network):
        return False
    if adapter is None or not adapter.num_prefix_positions:
        return True
    windows = sliding_windows(network)
    longest = max(map(len, prompts), default=0)
    return not windows or adapter.num_prefix_positions + longest + sampling.max_new_tokens <= min(windows)


def left_padded(rows: list[torch.Tensor]) -> torch.Tensor:
    """Return rows of one length, with zeros on the left of the shorter ones."""
    return pad_sequence(rows, batch_first=True, padding_side="left")
