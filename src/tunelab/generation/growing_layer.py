"""A layer of a cache with room after its keys and values, so that a token more costs no copy of those before it."""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 64
"""Places to grow into: about an answer; a longer one is moved again each time that it has filled them."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Does what a DynamicLayer does; its keys and values are the first places of larger tensors."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._larger: dict[str, torch.Tensor] = {"keys": keys, "values": values}

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values (B, G, T, D) and return all of them."""
        self.keys = self._appended("keys", self.keys, key_states)
        self.values = self._appended("values", self.values, value_states)
        return self.keys, self.values

    def _appended(self, name: str, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        length, end = held.shape[2], held.shape[2] + new.shape[2]
        larger = self._larger[name]
        # Rows that leave, leave a copy of the others, which lies elsewhere.
        if larger.data_ptr() != held.data_ptr() or larger.shape[2] < end:
            larger = new.new_empty((*held.shape[:2], end + _ROOM, held.shape[3]))
            larger[:, :, :length] = held
            self._larger[name] = larger
        larger[:, :, length:end] = new
        return larger[:, :, :end]
