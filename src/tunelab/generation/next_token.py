"""The next token of each row: the most likely one, or one sampled from its own stream of random numbers.

Shapes: B rows, N vocabulary, S tokens seen.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tunelab.errors import ModelError
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import TokenIds


class NextToken:
    """Chooses tokens as `sampling` says, by transformers' own logits processors in transformers' order.

    Args:
        prompts: of all rows; their tokens count as seen.
        indices: names each row's stream of random numbers, so that regrouping prompts changes no answer.
    """

    def __init__(self, sampling: Sampling, prompts: Sequence[TokenIds], indices: Sequence[int]) -> None:
        self.is_greedy = sampling.temperature == 0
        self.processors = _processors(sampling)
        self.generators = [torch.Generator().manual_seed(_seed(sampling.seed, index)) for index in indices]
        self.penalizes = sampling.repetition_penalty != 1
        self.seen = [torch.as_tensor(prompt, dtype=torch.long) for prompt in prompts]

    def choose(self, logits_BN: torch.Tensor, rows: Sequence[int]) -> list[int]:
        """Return the next token of each of `rows`.

        Raises:
            ModelError: a logit is NaN.
        """
        with torch.inference_mode():
            refuse_nan(logits_BN)
            if self.processors:
                logits_BN = self.processors(self._seen(rows).to(logits_BN.device), logits_BN.double())
            tokens_B = logits_BN.argmax(dim=-1) if self.is_greedy else self._sample(logits_BN.double(), rows)
        tokens = [int(token) for token in tokens_B]
        if self.penalizes:
            for row, token in zip(rows, tokens, strict=True):
                self.seen[row] = torch.cat([self.seen[row], torch.tensor([token])])
        return tokens

    def _sample(self, logits_BN: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        cumulative_BN = logits_BN.softmax(dim=-1).cumsum(dim=-1)
        sampled = [torch.rand((), generator=self.generators[row], dtype=torch.float64) for row in rows]
        # Scaled by the sum, which rounding keeps from being 1: a sample always lies below it.
        sampled_B1 = torch.stack(sampled)[:, None].to(logits_BN.device) * cumulative_BN[:, -1:]
        return torch.searchsorted(cumulative_BN, sampled_B1, right=True)[:, 0]

    def _seen(self, rows: Sequence[int]) -> torch.Tensor:
        """Return what each row has seen (B, S); shorter rows repeat a token, which penalizes it no further."""
        if not self.penalizes:
            return torch.empty(len(rows), 0, dtype=torch.long)
        seen_BS = pad_sequence([self.seen[row] for row in rows], batch_first=True, padding_value=-1)
        return torch.where(seen_BS < 0, seen_BS[:, :1], seen_BS)


def refuse_nan(logits_BN: torch.Tensor) -> None:
    """Raise a ModelError if a logit is NaN."""
    if logits_BN.amax(dim=-1).isnan().any():
        remedy = "Try model.torch_dtype: float32; if it stays, the adapter has diverged and must be trained again."
        raise ModelError("the network computes NaN instead of logits", remedy=remedy)


def _processors(sampling: Sampling) -> LogitsProcessorList:
    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty)))
    if sampling.temperature == 0:  # the others change no maximum
        return processors
    processors.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        processors.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        processors.append(MinPLogitsWarper(sampling.min_p))
    return processors


def _seed(seed: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:7])
