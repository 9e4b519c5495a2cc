"""The one loop that writes tokens. A batch of answers and a streamed one are both read from it.

Shapes: B rows that still write, T positions of this pass, L positions so far, V virtual tokens or prefix positions,
H hidden, N vocabulary.
"""

import inspect
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from tunelab.adapters.adapter import Adapter
from tunelab.errors import ModelError
from tunelab.generation.completion import Sampling
from tunelab.generation.next_token import NextToken
from tunelab.models.attention import sliding_windows
from tunelab.models.branching import network_kinds
from tunelab.models.loaded_model import in_eval_mode
from tunelab.rendering.rendered import TokenIds

# A pass over the network has a fixed price: shorter common beginnings are not worth a pass of their own.
SHARED_FROM = 32
# Models that carry a state and take no cache but one of their own.
_OWN_CACHES = ("minimax",)


def decode(
    network: PreTrainedModel,
    adapter: Adapter | None,
    prompts: Sequence[TokenIds],
    *,
    indices: Sequence[int],
    sampling: Sampling,
    stop_ids: Sequence[int],
    done: Collection[int] = (),
) -> Iterator[tuple[int, int | None, bool]]:
    """Yield `(row, token, last)` as the tokens of a batch are written, rows in order within each step.

    A stop token is yielded as None. A row leaves the batch, and its cache with it, once it is done. Prompts of unequal
    length meet only if `may_differ_in_length` allows it.

    Args:
        indices: names each prompt's stream of random draws, so that regrouping prompts changes no answer.
        done: rows that whoever reads the tokens needs no more of; it may grow while they are read.

    Raises:
        ModelError: a prompt does not fit, or the network computes no numbers.
    """
    room = positions_left(network, adapter, prompts)
    budgets = [min(sampling.max_new_tokens, left) for left in room]
    next_token = NextToken(sampling, prompts, indices)
    batch = _Batch(network)
    logits_BN = batch.read(adapter, prompts)
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


def may_differ_in_length(
    network: PreTrainedModel, adapter: Adapter | None, prompts: Sequence[TokenIds], sampling: Sampling
) -> bool:
    """Tell whether prompts of different lengths can be answered in one batch.

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


class _Batch:
    """The rows that still write: their keys and values, and which positions of each are real.

    Padding lies on the left of each row, or between a beginning that all rows share (a prefix, too) and the rest; the
    mask hides it and positions do not count it.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        self.network = network
        self.device: torch.device = network.device
        self.carries_state = bool(network_kinds(network))
        self.cache = DynamicCache(config=network.config)
        # A state that transformers has no common cache for: the whole row is run again for each token.
        has_state = any(type(layer) is not DynamicLayer for layer in self.cache.layers)
        self.runs_again = self.carries_state and (not has_state or network.config.model_type in _OWN_CACHES)
        self.embedded_BLH: torch.Tensor | None = None  # what was run, for when it is run again
        takes = inspect.signature(network.forward).parameters
        self.cache_name = "cache_params" if "cache_params" in takes else "past_key_values"
        self.takes_positions = "position_ids" in takes or not self.carries_state
        self.mask_BL = torch.ones(1, 0, dtype=torch.long, device=self.device)

    def read(self, adapter: Adapter | None, prompts: Sequence[TokenIds]) -> torch.Tensor:
        """Run the prompts, what they share only once, and return the logits (B, N) of each row's next token."""
        rows = [torch.as_tensor(prompt, dtype=torch.long, device=self.device) for prompt in prompts]
        with torch.inference_mode():
            virtual_VH = adapter.virtual_embeddings() if adapter is not None else torch.empty(0, 0)
            for layer, pair in enumerate(adapter.prefix_keys_values() if adapter is not None else ()):
                self.cache.update(*(each.to(self.network.dtype) for each in pair), layer)
        self.mask_BL = self.mask_BL.new_ones(1, adapter.num_prefix_positions if adapter is not None else 0)
        num_shared = self._num_shared(prompts)
        if len(rows) > 1 and num_shared + len(virtual_VH) >= SHARED_FROM and self._can_share():
            self._run([rows[0][:num_shared]], virtual_VH)
            rows, virtual_VH = [row[num_shared:] for row in rows], virtual_VH[:0]
        if self.mask_BL.shape[1]:
            self.cache.batch_repeat_interleave(len(rows))
        self.mask_BL = self.mask_BL.expand(len(rows), -1)
        return self._run(rows, virtual_VH)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row and return the logits (B, N) of the next."""
        ids_BT = torch.tensor(tokens, dtype=torch.long, device=self.device)[:, None]
        return self._run(list(ids_BT), torch.empty(0, 0))

    def keep(self, places: Sequence[int]) -> None:
        """Let go of all rows but those at `places`."""
        places_B = torch.tensor(places, device=self.device)
        with torch.inference_mode():
            self.cache.reorder_cache(places_B)
            if self.embedded_BLH is not None:
                self.embedded_BLH = self.embedded_BLH[places_B]
        self.mask_BL = self.mask_BL[places_B]

    def _run(self, rows: list[torch.Tensor], virtual_VH: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), in_eval_mode(self.network):
            real_BT = _left_padded([torch.ones(len(virtual_VH) + len(row), dtype=torch.long) for row in rows])
            real_BT = real_BT.to(self.device)
            self.mask_BL = torch.cat([self.mask_BL, real_BT], dim=1)
            positions_BT = (self.mask_BL.cumsum(1) - 1).clamp(min=0)[:, -real_BT.shape[1] :]
            if len(virtual_VH) or self.runs_again:
                embed = self.network.get_input_embeddings()
                embedded = [embed(row) for row in rows]
                together = [torch.cat([virtual_VH.to(row), row]) if len(virtual_VH) else row for row in embedded]
                inputs = {"inputs_embeds": _left_padded(together)}
            else:
                inputs = {"input_ids": _left_padded(rows)}
            if self.runs_again:
                parts = [each for each in (self.embedded_BLH, inputs["inputs_embeds"]) if each is not None]
                self.embedded_BLH = inputs["inputs_embeds"] = torch.cat(parts, dim=1)
            else:
                # Where a state is carried, rows are of one length and nothing is hidden; some count positions by the
                # cache of their first layer, which may hold no keys.
                inputs |= {} if self.carries_state else {"attention_mask": self.mask_BL}
                inputs |= {"position_ids": positions_BT} if self.takes_positions else {}
            cache = {} if self.runs_again else {self.cache_name: self.cache}
            output = self.network(**inputs, **cache, use_cache=not self.runs_again, logits_to_keep=1, return_dict=True)
            logits_BN: torch.Tensor = output.logits[:, -1].float()
            return logits_BN

    def _can_share(self) -> bool:
        # Windows and running states count places, not positions: padding in the middle would shift them.
        return not self.carries_state and all(type(layer) is DynamicLayer for layer in self.cache.layers)

    @staticmethod
    def _num_shared(prompts: Sequence[TokenIds]) -> int:
        shortest = min(len(prompt) for prompt in prompts)
        prompts_BT = np.stack([prompt[:shortest] for prompt in prompts])
        differs = np.flatnonzero((prompts_BT != prompts_BT[0]).any(axis=0))
        # Each row keeps a token of its own, for its logits.
        return min(int(differs[0]) if len(differs) else shortest, shortest - 1)


def _left_padded(rows: list[torch.Tensor]) -> torch.Tensor:
    return pad_sequence(rows, batch_first=True, padding_side="left")


def _positions(network: PreTrainedModel) -> int:
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(positions) if positions else 2**31
