"""A conversation with a tuned model or a base model, in the template that it is trained with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunelab.conversations import Message
from tunelab.flows.subject import open_subject
from tunelab.generation.responder import Responder
from tunelab.workspace import Run


def open_chat(
    named: Run | str, *, base: bool = False, max_new_tokens: int = 512, seed: int | None = None, **settings: object
) -> "Chat":
    """Return a chat with the tuned model of a run or of an adapter's folder, or with a base model.

    Args:
        named: as `open_subject` takes it.
        base: answer as the base model does, with the same template.
        max_new_tokens: longest reply, in tokens.
        seed: of sampled replies; None takes the recipe's.
        settings: other ones of `evaluation` than the recipe's, e.g. ``temperature=0.7``; None changes nothing.

    Raises:
        RunError, ModelError, AdapterError: as `open_subject`.
    """
    subject = open_subject(named)
    recipe, manifest = subject.recipe, subject.manifest
    evaluation = recipe.evaluation.changed(max_new_tokens=max_new_tokens, **settings)
    sampling = evaluation.sampling(seed=recipe.training.seed if seed is None else seed)
    return Chat(
        responder=subject.responder(sampling, tuned=not base),
        system_prompt=manifest.system_prompt if manifest else None,
        tools=manifest.tools if manifest else (),
        remarks=tuple(evaluation.remarks()),
    )


@dataclass(slots=True, kw_only=True)
class Chat:
    """Messages that grow by a question and its streamed reply at a time."""

    responder: Responder
    system_prompt: str | None
    tools: Sequence[Mapping[str, object]]
    remarks: Sequence[str] = ()
    """What is to be said of settings that have no effect."""
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
        prompt_ids = self.responder.renderer.prompt_ids(messages, self.tools)
        said = ""
        try:
            # Each reply has draws of its own, and the whole chat can be repeated by its seed.
            for piece in self.responder.stream(prompt_ids, draw=len(self.messages)):
                said += piece
                yield piece
        finally:
            if said:
                self.messages = (*messages, Message(role="assistant", content=said))
