"""Checks of what the chat template does with reasoning: reasoning that it drops, blocks that it leaves empty."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.rendering.rendered import Remark


@rule("empty_reasoning")
def empty_reasoning(context: CheckContext) -> Iterator[Finding]:
    """Answers into which the template writes an empty reasoning block."""
    yield from found(
        _remarks(context, "empty reasoning"),
        len(context.dataset.sequences),
        "answer",
        "are trained with an empty reasoning block: the chat template writes one if a row holds no reasoning",
        code="empty_reasoning",
        severity="note",
        why="A model that thinks before it answers learns to think nothing.",
        remedy="Give the rows reasoning_content; or, if the model is not to think, put the block into the prompt: "
        "data.chat_template_kwargs {enable_thinking: false}, in serving, too.",
    )


@rule("earlier_reasoning_dropped")
def earlier_reasoning_dropped(context: CheckContext) -> Iterator[Finding]:
    """Answers after earlier ones whose reasoning the template leaves out of the prompt."""
    yield from found(
        _remarks(context, "earlier reasoning"),
        len(context.dataset.sequences),
        "answer",
        "are trained after earlier answers without their reasoning: the chat template leaves it out of the history",
        code="earlier_reasoning_dropped",
        severity="note",
        why="Each reasoning is trained once, in its own answer; an engine that keeps it would send another prompt.",
        remedy="Nothing needs to be done if the engine uses this template; --show prints the prompt as it is sent.",
    )


def _remarks(context: CheckContext, kind: str) -> list[Remark]:
    return [remark for side in context.dataset.rendered_sets for remark in side.remarks if remark.kind == kind]
