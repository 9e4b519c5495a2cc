"""A conversation with a run's model, with the training template."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.conversations import Message
from tunelab.flows.subject import open_run
from tunelab.generation.completion import Sampling
from tunelab.generation.generate import stream
from tunelab.generation.text_pieces import text_pieces
from tunelab.rendering.rendered import TokenIds
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Run


def open_chat(run: Run, *, base: bool = False, temperature: float | None = None, max_new_tokens: int = 512) -> "Chat":
    """Return a chat with the tuned model of a run, or with its base.

    Args:
        base: answer as the base model does, with the same template.
        temperature: None takes the recipe's.
        max_new_tokens: longest reply, in tokens.

    Raises:
        RunError, ModelError, AdapterError: as `open_run`.
    """
    opened = open_run(run)
    evaluation = opened.recipe.evaluation
    return Chat(
        network=opened.model.network,
        adapter=opened.adapter,
        tuned=not base,
        renderer=opened.renderer,
        system_prompt=opened.facts.system_prompt,
        tools=opened.facts.tools,
        sampling=Sampling(
            max_new_tokens=max_new_tokens,
            temperature=evaluation.temperature if temperature is None else temperature,
            seed=opened.recipe.training.seed,
        ),
    )


@dataclass(slots=True, kw_only=True)
class Chat:
    """Messages that grow by a question and its streamed reply at a time."""

    network: PreTrainedModel
    adapter: Adapter
    tuned: bool
    """False answers as the base model does."""
    renderer: Renderer
    system_prompt: str | None
    tools: Sequence[Mapping[str, object]]
    sampling: Sampling
    messages: tuple[Message, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything but the system prompt."""
        self.messages = (Message(role="system", content=self.system_prompt),) if self.system_prompt else ()

    def reply(self, text: str) -> Iterator[str]:
        """Yield the reply to `text` piece by piece; then both belong to the conversation.

        A reply that is broken off counts as far as it came; a question that got no text is forgotten.

        Raises:
            ModelError: the conversation leaves no room for a reply.
        """
        messages = (*self.messages, Message(role="user", content=text))
        prompt_ids = self.renderer.prompt_ids(messages, self.tools)
        said = ""
        try:
            for piece in text_pieces(self._tokens(prompt_ids), self._decode):
                said += piece
                yield piece
        finally:
            if said:
                self.messages = (*messages, Message(role="assistant", content=said))

    def _tokens(self, prompt_ids: TokenIds) -> Iterator[int]:
        # Each reply has draws of its own, and the whole chat can be repeated by its seed.
        sampling = replace(self.sampling, seed=self.sampling.seed + len(self.messages))
        with nullcontext() if self.tuned else self.adapter.disabled():
            yield from stream(
                self.network, self.adapter, prompt_ids, sampling=sampling, stop_ids=self.renderer.stop_ids
            )

    def _decode(self, token_ids: Sequence[int]) -> str:
        return self.renderer.decode(token_ids, skip_special_tokens=True)
