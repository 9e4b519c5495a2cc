"""A model that takes token ids and answers with text: in bulk or as a stream, tuned or as its base."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.generation.completion import CompletionScores, Response, Sampling
from tunelab.generation.decode import longest_prompt
from tunelab.generation.generate import generate, stream
from tunelab.generation.score_completions import score_completions
from tunelab.generation.stop_strings import before_stop, until_stop
from tunelab.generation.text_pieces import text_pieces
from tunelab.rendering.rendered import TokenIds
from tunelab.rendering.renderer import Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """What chat, comparison and later rooms put prompts to."""

    network: PreTrainedModel
    adapter: Adapter | None
    """What is attached to the network; None for a base model alone."""
    renderer: Renderer
    """Decodes answers, and knows which tokens end them."""
    sampling: Sampling
    tuned: bool = True
    """False answers as the base model does."""

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt that leaves room for an answer, with the adapter on."""
        return longest_prompt(self.network, self.adapter)

    def answers(
        self, prompts: Sequence[TokenIds], *, on_progress: Callable[[int, int], None] | None = None
    ) -> list[Response]:
        """Return the answer to each prompt, in the order of the prompts.

        Args:
            on_progress: called with (answers done, answers in all) after each finished answer.

        Raises:
            ModelError: a prompt is empty or longer than the model's positions, or the network computes NaN.
        """
        with self.switched():
            completions = generate(
                self.network,
                self.adapter,
                prompts,
                sampling=self.sampling,
                stop_ids=self.renderer.stop_ids,
                is_over=self._is_over,
                on_progress=on_progress,
            )
        texts = [self._text(completion.token_ids) for completion in completions]
        cut = [before_stop(text, self.sampling.stop_strings) for text in texts]
        return [
            Response(text=whole if before is None else before, completion=completion)
            for whole, before, completion in zip(texts, cut, completions, strict=True)
        ]

    def completion_scores(
        self,
        prompts: Sequence[TokenIds],
        completions: Sequence[Sequence[TokenIds]],
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> CompletionScores:
        """Return the log-probability of each whole completion of each prompt, whatever the sampling.

        Args:
            completions: of each prompt, ids, each with the token that ends its turn, if that shall count.
            on_progress: called with (prompts done, prompts in all).

        Raises:
            ModelError: as `answers`; and a completion is empty, or does not fit after its prompt.
        """
        with self.switched():
            return score_completions(self.network, self.adapter, prompts, completions, on_progress=on_progress)

    def stream(self, prompt_ids: TokenIds, *, draw: int = 0) -> Iterator[str]:
        """Yield the answer to one prompt piece by piece.

        Args:
            draw: numbers answers that shall differ by chance though seed and prompt are the same.

        Raises:
            ModelError: as `answers`.
        """
        sampling = replace(self.sampling, seed=self.sampling.seed + draw)
        with self.switched():
            tokens = stream(self.network, self.adapter, prompt_ids, sampling=sampling, stop_ids=self.renderer.stop_ids)
            yield from until_stop(text_pieces(tokens, self._text), sampling.stop_strings)

    def switched(self) -> AbstractContextManager[None]:
        """Switch the adapter off within the context if the base model is to answer."""
        return nullcontext() if self.tuned or self.adapter is None else self.adapter.disabled()

    def _is_over(self, token_ids: Sequence[int]) -> bool:
        stop_strings = self.sampling.stop_strings
        if not stop_strings:
            return False
        # A character takes at most four tokens; some tokens write none.
        tail = token_ids[-4 * max(map(len, stop_strings)) - 16 :]
        return before_stop(self._text(tail), stop_strings) is not None

    def _text(self, token_ids: Sequence[int]) -> str:
        return self.renderer.decode(token_ids, skip_special_tokens=True)
